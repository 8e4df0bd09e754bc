//! What a function writes: lines of its standard output and error, by environment.

use std::fmt;

/// One line that the function wrote to its standard output or error.
/// ```no_run
/// use lambda_streams_local::Bootstrap;
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let function = Bootstrap::builder("target/lambda/orders/bootstrap")
///     .on_output(|output| {
///         if output.is_stderr {
///             eprintln!("{output}");
///         }
///     })
///     .start()
///     .await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct FunctionOutput<'a> {
    /// The number of the environment, from 1.
    pub environment: u32,
    /// Whether the function wrote it to its standard error.
    pub is_stderr: bool,
    /// The line, without its end. Bytes that are not UTF-8 are replaced.
    pub line: &'a str,
}

/// The line as the function wrote it. Lines of the second and later environments begin with the environment's number,
/// because several write to one terminal.
impl fmt::Display for FunctionOutput<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.environment {
            0 | 1 => f.write_str(self.line),
            environment => write!(f, "[{environment}] {}", self.line),
        }
    }
}

pub(super) type OnOutput = Box<dyn Fn(FunctionOutput<'_>) + Send + Sync>;

/// Lines go to standard error: standard output belongs to the caller.
pub(super) fn to_stderr(output: FunctionOutput<'_>) {
    eprintln!("{output}");
}

//! What a function writes: lines of its standard output and error, by environment.

/// One line that the function wrote to its standard output or error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct FunctionOutput<'a> {
    /// Which environment, counted from 1.
    pub environment: u32,
    /// Whether it was written to the standard error.
    pub is_stderr: bool,
    /// The line, without its end; what is not UTF-8 is replaced.
    pub line: &'a str,
}

pub(super) type OnOutput = Box<dyn Fn(FunctionOutput<'_>) + Send + Sync>;

/// Lines go to the standard error, after the number of the environment: the standard output is the caller's.
pub(super) fn to_stderr(output: FunctionOutput<'_>) {
    eprintln!("[{}] {}", output.environment, output.line);
}

//! What a function writes: lines of its standard output and error, by environment.

use std::fmt;

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

/// As the function wrote it. Only from the second environment on, the environment's number is before it: several write to one
/// terminal then.
impl fmt::Display for FunctionOutput<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.environment {
            0 | 1 => f.write_str(self.line),
            environment => write!(f, "[{environment}] {}", self.line),
        }
    }
}

pub(super) type OnOutput = Box<dyn Fn(FunctionOutput<'_>) + Send + Sync>;

/// Lines go to the standard error: the standard output is the caller's.
pub(super) fn to_stderr(output: FunctionOutput<'_>) {
    eprintln!("{output}");
}

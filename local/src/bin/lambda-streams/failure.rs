//! Why a command ends without having done its work.

use std::fmt;
use std::process::ExitCode;

/// Everything went well.
pub(crate) const GOOD: u8 = 0;
/// The work was begun, and failed or lost something.
pub(crate) const FAILED: u8 = 1;
/// Nothing was started: a flag is wrong, or something does not exist or cannot be reached.
pub(crate) const NOT_BEGUN: u8 = 2;

/// One line for the developer, and the exit code.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    message: String,
    code: u8,
}

impl Failure {
    /// Nothing was started.
    pub(crate) fn not_begun(message: impl fmt::Display) -> Self {
        Self { message: message.to_string(), code: NOT_BEGUN }
    }

    /// What was started did not end well.
    pub(crate) fn failed(message: impl fmt::Display) -> Self {
        Self { message: message.to_string(), code: FAILED }
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.code)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

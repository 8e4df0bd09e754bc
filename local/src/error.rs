//! Why a run ends early: the stream cannot be read, or the function cannot be invoked.

use std::fmt;

use crate::function::InvokeError;
use crate::source::SourceError;

/// Why a run ended early.
///
/// A failure *in* the function does not end a run: the batch is retried, bisected or discarded, as the settings say.
/// ```
/// use std::time::Duration;
///
/// use lambda_streams_local::{EventSourceMapping, Function, InvokeError, RecordFiles, Response, Settings};
///
/// struct Missing;
///
/// impl Function for Missing {
///     async fn invoke(&self, _payload: String, _timeout: Duration) -> Result<Response, InvokeError> {
///         Err(InvokeError::refused("function `orders` does not exist here: check its name and the region"))
///     }
///
///     fn function_arn(&self) -> String {
///         "arn:aws:lambda:eu-central-1:123456789012:function:orders".to_owned()
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut files = RecordFiles::new();
/// files.add_items("orders.ndjson", r#"{"id": "a"}"#, &["id"])?;
/// let mapping = EventSourceMapping::new(Settings::default(), files.into_source()?, Missing)?;
/// let error = mapping.run(std::future::pending()).await.unwrap_err();
/// assert!(error.is_invoke() && !error.is_source());
/// assert_eq!(mapping.summary().left, 1, "the record is neither done nor discarded");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunError(Kind);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Source(SourceError),
    Invoke(InvokeError),
}

impl RunError {
    pub(crate) fn source(error: SourceError) -> Self {
        Self(Kind::Source(error))
    }

    pub(crate) fn invoke(error: InvokeError) -> Self {
        Self(Kind::Invoke(error))
    }

    /// Whether the stream could not be read.
    pub fn is_source(&self) -> bool {
        matches!(self.0, Kind::Source(_))
    }

    /// Whether the function could not be invoked.
    pub fn is_invoke(&self) -> bool {
        matches!(self.0, Kind::Invoke(_))
    }
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Source(error) => write!(f, "the stream cannot be read: {error}"),
            Kind::Invoke(error) => write!(f, "the function cannot be invoked: {error}"),
        }
    }
}

impl std::error::Error for RunError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.0 {
            Kind::Source(error) => Some(error),
            Kind::Invoke(error) => Some(error),
        }
    }
}

//! On-failure documents in a file, one JSON object a line.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;

use super::{OnFailureDestination, OnFailureDocument, OnFailureError};

/// Appends on-failure documents to a file, one JSON object per line.
///
/// The first document creates the file. Writing blocks the thread for as long as the disk takes, which is fine for a
/// developer's tool.
///
/// ```
/// use lambda_streams_local::FileOnFailure;
///
/// let destination = FileOnFailure::new("on-failure.ndjson");
/// assert_eq!(destination.path().to_str(), Some("on-failure.ndjson"));
/// ```
#[derive(Debug, Clone)]
pub struct FileOnFailure {
    path: PathBuf,
}

impl FileOnFailure {
    /// A destination that writes to the file at this path.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// The file's path.
    pub fn path(&self) -> &std::path::Path {
        &self.path
    }
}

impl OnFailureDestination for FileOnFailure {
    async fn send(&self, document: &OnFailureDocument) -> Result<(), OnFailureError> {
        let named = |error: std::io::Error| OnFailureError::new(format!("{}: {error}", self.path.display()));
        let mut file = OpenOptions::new().create(true).append(true).open(&self.path).map_err(named)?;
        file.write_all(format!("{}\n", document.to_json()).as_bytes()).map_err(named)
    }
}

//! On-failure destinations: where a mapping sends the document of discarded records.
//!
//! A document that a destination does not accept is lost, as on AWS; the mapping warns.

mod document;
mod file;

use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use futures::future::BoxFuture;

pub use self::document::{Condition, OnFailureDocument};
pub use self::file::FileOnFailure;

pub(crate) use self::document::Discarded;

/// A destination for on-failure documents, in place of the deployed queue, topic or bucket.
///
/// A document that cannot be sent is lost, as on AWS. The mapping counts it and warns.
/// ```
/// use lambda_streams_local::{OnFailureDestination, OnFailureDocument, OnFailureError};
///
/// /// Prints how many records were discarded.
/// struct Print;
///
/// impl OnFailureDestination for Print {
///     async fn send(&self, document: &OnFailureDocument) -> Result<(), OnFailureError> {
///         println!("{} records discarded: {:?}", document.batch_size(), document.condition());
///         Ok(())
///     }
/// }
/// ```
pub trait OnFailureDestination: Send + Sync + 'static {
    /// Sends one document.
    ///
    /// # Errors
    /// If the destination did not accept the document.
    ///
    /// # Cancellation
    /// Dropping a run drops this future too, and its document may be lost.
    fn send(&self, document: &OnFailureDocument) -> impl Future<Output = Result<(), OnFailureError>> + Send;
}

/// Why a destination did not accept a document.
/// ```
/// use lambda_streams_local::OnFailureError;
///
/// assert_eq!(OnFailureError::new("the disk is full").to_string(), "the disk is full");
/// ```
#[derive(Debug)]
pub struct OnFailureError(Box<dyn std::error::Error + Send + Sync>);

impl OnFailureError {
    /// An error with this reason: another error, or a text.
    pub fn new(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self(source.into())
    }
}

impl fmt::Display for OnFailureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for OnFailureError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source()
    }
}

/// Keeps on-failure documents in memory, for tests. Clones share the documents.
///
/// ```
/// use lambda_streams_local::MemoryOnFailure;
///
/// let destination = MemoryOnFailure::default();
/// let for_the_mapping = destination.clone();
/// assert!(destination.documents().is_empty());
/// ```
#[derive(Debug, Clone, Default)]
pub struct MemoryOnFailure {
    documents: Arc<Mutex<Vec<OnFailureDocument>>>,
}

impl MemoryOnFailure {
    /// The documents that were sent so far, in their order.
    pub fn documents(&self) -> Vec<OnFailureDocument> {
        self.documents.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl OnFailureDestination for MemoryOnFailure {
    async fn send(&self, document: &OnFailureDocument) -> Result<(), OnFailureError> {
        self.documents.lock().unwrap_or_else(PoisonError::into_inner).push(document.clone());
        Ok(())
    }
}

/// A destination without its type.
pub(crate) trait ErasedDestination: Send + Sync {
    fn send<'a>(&'a self, document: &'a OnFailureDocument) -> BoxFuture<'a, Result<(), OnFailureError>>;
}

impl<D: OnFailureDestination> ErasedDestination for D {
    fn send<'a>(&'a self, document: &'a OnFailureDocument) -> BoxFuture<'a, Result<(), OnFailureError>> {
        Box::pin(OnFailureDestination::send(self, document))
    }
}

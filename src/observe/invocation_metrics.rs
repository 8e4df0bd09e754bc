//! Tells `Emf`, where it is installed, when an invocation begins, ends or is cancelled. `emf.rs` does the flush
//! (`Emf::write`); other recorders flush by themselves.

#[cfg(feature = "emf")]
use super::emf::Emf;

/// An invocation in flight. Dropping it means that the invocation was cancelled.
pub(crate) struct InvocationMetrics {
    /// `None` if EMF is not installed, or the invocation has ended.
    #[cfg(feature = "emf")]
    emf: Option<&'static Emf>,
}

impl InvocationMetrics {
    pub(crate) fn begin() -> Self {
        Self {
            #[cfg(feature = "emf")]
            emf: Emf::installed().inspect(|emf| emf.begin_invocation()),
        }
    }

    /// Records the processor's metrics of the invocation, and flushes them together with those of its handlers.
    #[cfg(feature = "emf")]
    pub(crate) fn record_and_flush(mut self, request_id: &str, record: impl FnOnce()) {
        match self.emf.take() {
            Some(emf) => emf.end_invocation(request_id, record),
            None => record(),
        }
    }

    /// Records the processor's metrics of the invocation.
    #[cfg(not(feature = "emf"))]
    pub(crate) fn record_and_flush(self, _request_id: &str, record: impl FnOnce()) {
        record();
    }
}

#[cfg(feature = "emf")]
impl Drop for InvocationMetrics {
    fn drop(&mut self) {
        if let Some(emf) = self.emf {
            emf.cancel_invocation();
        }
    }
}

//! The metrics of one invocation, from its begin to its end.

/// An invocation whose numbers are taken together.
pub(crate) struct InvocationMetrics {
    #[cfg(feature = "emf")]
    guard: Option<super::emf::InvocationGuard>,
}

impl InvocationMetrics {
    pub(crate) fn begin() -> Self {
        Self {
            #[cfg(feature = "emf")]
            guard: super::emf::InvocationGuard::begin(),
        }
    }

    /// Records the invocation's numbers; where EMF is installed, it writes all that there are by now.
    pub(crate) fn end(self, request_id: &str, record: impl FnOnce()) {
        #[cfg(feature = "emf")]
        if let Some(guard) = self.guard {
            return guard.end(request_id, record);
        }
        #[cfg(not(feature = "emf"))]
        let _ = request_id;
        record();
    }
}

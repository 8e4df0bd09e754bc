use std::sync::atomic::{AtomicUsize, Ordering};

/// Which positions may still begin: those before the earliest reported one, and none once the deadline has stopped the
/// batch.
///
/// Attempts ask it when they are polled for the first time, for in between another may have been reported.
pub(super) struct Gate(AtomicUsize);

impl Gate {
    pub(super) fn open() -> Self {
        Self(AtomicUsize::new(usize::MAX))
    }

    pub(super) fn lets_begin(&self, position: usize) -> bool {
        position < self.0.load(Ordering::Relaxed)
    }

    /// Closes it for everything behind a position.
    pub(super) fn close_behind(&self, position: usize) {
        self.0.fetch_min(position, Ordering::Relaxed);
    }

    pub(super) fn close(&self) {
        self.close_behind(0);
    }
}

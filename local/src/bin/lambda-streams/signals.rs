//! Ctrl-C: once to drain, twice to stop at once.

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::failure::Failure;

/// Counts SIGINT and SIGTERM, from the moment it is made.
pub(crate) struct Signals {
    count: watch::Receiver<u32>,
    /// Aborted on drop.
    _listener: JoinSet<()>,
}

impl Signals {
    pub(crate) fn listen() -> Result<Self, Failure> {
        let refuse = |error| Failure::not_begun(format!("Ctrl-C cannot be listened for: {error}"));
        let mut interrupt = signal(SignalKind::interrupt()).map_err(refuse)?;
        let mut terminate = signal(SignalKind::terminate()).map_err(refuse)?;
        let (sender, count) = watch::channel(0);
        let mut listener = JoinSet::new();
        listener.spawn(async move {
            loop {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
                sender.send_modify(|count| *count += 1);
            }
        });
        Ok(Self { count, _listener: listener })
    }

    /// Does work by which nothing is lost, unless Ctrl-C interrupts it.
    ///
    /// # Errors
    /// Those of the work, or that it was interrupted while `what` happened.
    pub(crate) async fn unless_interrupted<T>(
        &self,
        what: &str,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        tokio::select! {
            done = work => done,
            () = self.reached(1) => Err(Failure::not_begun(format!("interrupted while {what}"))),
        }
    }

    /// Waits until there were that many.
    pub(crate) async fn reached(&self, number: u32) {
        let mut count = self.count.clone();
        if count.wait_for(|count| *count >= number).await.is_err() {
            // The sender ends only with `self`.
            std::future::pending().await
        }
    }
}

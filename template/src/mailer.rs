//! The client that the handlers work with.

use std::error::Error;

/// A message to a customer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mail {
    /// The same each time the change is processed. Delivery is at least once: a recipient can
    /// recognize a repetition by it.
    pub(crate) id: String,
    pub(crate) to: String,
    pub(crate) text: String,
}

/// Sends mail. The tests have an implementation of their own.
pub(crate) trait Mailer: Clone + Send + Sync + 'static {
    fn send(
        &self,
        mail: Mail,
    ) -> impl Future<Output = Result<(), Box<dyn Error + Send + Sync>>> + Send;
}

/// Only logs that there is a mail.
///
/// Replace it with a client of your own: one of the AWS SDK, an HTTP client, a connection pool.
/// Make it once, in `main`. It must be cheap to clone, because each call of a handler gets a clone.
#[derive(Debug, Clone)]
pub(crate) struct LogMailer;

impl Mailer for LogMailer {
    async fn send(&self, mail: Mail) -> Result<(), Box<dyn Error + Send + Sync>> {
        // Neither the address nor the text: personal data does not belong in logs.
        tracing::info!(mail.id, "mail sent");
        Ok(())
    }
}

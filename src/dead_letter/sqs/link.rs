//! What every call of SQS needs, and what its failures say about the way to the queue.

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::QueueAttributeName;

use super::outage::Outage;
use super::request::MAX_BYTES;
use super::retry::Attempts;
use super::send_error::SendError;
use crate::aws::FunctionCredentials;

/// The lowest limit that a queue can have.
const LOWEST_LIMIT: usize = 1024;

/// The way to the queue.
#[derive(Clone, Copy)]
pub(super) struct Link<'a> {
    pub(super) client: &'a Client,
    pub(super) url: &'a str,
    /// How errors name the queue: its URL, and the endpoint where that is another host.
    pub(super) queue: &'a str,
    pub(super) outage: &'a Outage,
    /// Those that can be renewed: not those of a client that was given.
    pub(super) credentials: Option<&'a FunctionCredentials>,
}

impl Link<'_> {
    /// Notes what an attempt says about the way to the queue; returns whether the next one has new credentials.
    pub(super) fn observe<'e>(&self, attempts: &Attempts, errors: impl Iterator<Item = &'e SendError> + Clone) -> bool {
        match errors.clone().find(|error| error.is_outage()) {
            None => self.outage.end(),
            Some(error) if !attempts.may_help(error) => self.outage.begin(error),
            Some(_) => {}
        }
        let is_renewed = errors.clone().any(|error| error.is_about_credentials() && attempts.may_help(error));
        if let Some(credentials) = self.credentials.filter(|_| is_renewed) {
            credentials.forget();
        }
        is_renewed
    }

    /// Asks for the queue's `MaximumMessageSize`.
    pub(super) async fn ask_for_limit(&self) -> Result<usize, SendError> {
        let name = QueueAttributeName::MaximumMessageSize;
        let mut attempts = Attempts::default();
        let error = loop {
            let request = self.client.get_queue_attributes().queue_url(self.url).attribute_names(name.clone());
            let error = match request.send().await {
                Ok(response) => {
                    let limit = response.attributes().and_then(|attributes| attributes.get(&name)?.parse().ok());
                    let limit = limit.filter(|limit: &usize| *limit >= LOWEST_LIMIT);
                    return Ok(limit.map_or(MAX_BYTES, |limit| limit.min(MAX_BYTES)));
                }
                Err(error) => SendError::of_request(&error, self.queue),
            };
            attempts.note();
            let is_renewed = self.observe(&attempts, std::iter::once(&error));
            if !attempts.may_help(&error) {
                break error;
            }
            attempts.backoff(is_renewed).await;
        };
        if !error.is_access_denied() {
            return Err(error);
        }
        tracing::warn!(
            queue_url = self.url,
            limit = MAX_BYTES,
            "the function is not allowed to read the queue's MaximumMessageSize: grant sqs:GetQueueAttributes"
        );
        Ok(MAX_BYTES)
    }
}

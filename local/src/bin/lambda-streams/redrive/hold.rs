//! The messages that this run has taken from the queue.
//!
//! *Invariant*: a message is hidden from others until it is deleted, or until `release` makes it visible. One whose time has run out is
//! not sent.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use crate::places::PlaceError;
use crate::places::sqs::{Message, Queue};
use crate::ui::{Ui, count};

/// A message is no longer sent when less than this part of its time is left.
const MARGIN: u32 = 10;

/// Messages in flight, by their ids.
pub(super) struct Hold<'a> {
    queue: &'a Queue,
    visibility: Duration,
    held: Mutex<HashMap<String, Held>>,
}

#[derive(Debug, Clone)]
struct Held {
    receipt: String,
    until: Instant,
}

impl<'a> Hold<'a> {
    pub(super) fn new(queue: &'a Queue, visibility: Duration) -> Self {
        Self { queue, visibility, held: Mutex::default() }
    }

    /// Takes a message that was received not before `asked`; returns whether it is a new one.
    pub(super) fn add(&self, message: &Message, asked: Instant) -> bool {
        let held = Held { receipt: message.receipt.clone(), until: asked + self.visibility };
        self.lock().insert(message.id.clone(), held).is_none()
    }

    /// Whether the message is hidden long enough for it to be sent.
    pub(super) fn has(&self, id: &str) -> bool {
        self.lock().get(id).is_some_and(|held| held.until > Instant::now() + self.visibility / MARGIN)
    }

    /// Deletes messages from the queue; returns those that are still there, each with the reason.
    pub(super) async fn delete(&self, ids: &[&str]) -> Result<Vec<(String, String)>, PlaceError> {
        let (ids, receipts): (Vec<String>, Vec<String>) = {
            let held = self.lock();
            let receipt = |id: &&str| Some(((*id).to_owned(), held.get(*id)?.receipt.clone()));
            ids.iter().filter_map(receipt).unzip()
        };
        let refused = self.queue.delete(&receipts).await?;
        let refused: Vec<(String, String)> =
            refused.into_iter().filter_map(|refused| Some((ids.get(refused.position)?.clone(), refused.why))).collect();
        let mut held = self.lock();
        for id in ids.iter().filter(|id| !refused.iter().any(|(refused, _)| refused == *id)) {
            held.remove(id);
        }
        Ok(refused)
    }

    /// Extends the time of all messages again and again, until it is dropped.
    pub(super) async fn extend(&self, ui: &Ui) -> ! {
        loop {
            tokio::time::sleep(self.visibility / 3).await;
            let asked = Instant::now();
            let (ids, receipts) = self.receipts();
            match self.queue.hide(&receipts, self.visibility).await {
                Ok(refused) => {
                    let mut held = self.lock();
                    for (position, id) in ids.iter().enumerate() {
                        let is_extended = !refused.iter().any(|refused| refused.position == position);
                        // What was deleted meanwhile stays out.
                        if let Some(held) = held.get_mut(id).filter(|_| is_extended) {
                            held.until = asked + self.visibility;
                        }
                    }
                }
                Err(error) => ui.line(&format!("messages may become visible before they are sent: {error}")),
            }
        }
    }

    /// Makes all messages visible at once.
    pub(super) async fn release(&self, ui: &Ui) {
        let (ids, receipts) = self.receipts();
        // One that is refused is visible already, as its time had run out.
        if let Err(error) = self.queue.hide(&receipts, Duration::ZERO).await {
            let (messages, until) = (count(ids.len(), "message"), self.until());
            ui.print(&format!("warning: {messages} become visible {until}, and not at once: {error}"));
        }
    }

    /// When the messages become visible by themselves at the latest, such as `by 2026-01-31T03:12:00Z`.
    pub(super) fn until(&self) -> String {
        let latest = self.lock().values().map(|held| held.until).max();
        let left = latest.map_or(Duration::ZERO, |until| until.saturating_duration_since(Instant::now()));
        // The queue counts from when it gave them, which is a little later.
        let until = SystemTime::now() + left + Duration::from_secs(1);
        format!("by {}", humantime::format_rfc3339_seconds(until))
    }

    fn receipts(&self) -> (Vec<String>, Vec<String>) {
        self.lock().iter().map(|(id, held)| (id.clone(), held.receipt.clone())).unzip()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! Where on-failure documents are kept: files, a bucket, a queue. Nothing is deleted there before all records of a document are done.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::aws::Aws;
use crate::documents::{self, Document, What};
use crate::failure::Failure;
use crate::input;
use crate::places::MAX_BYTES;
use crate::places::s3::{S3, S3Url};
use crate::places::sqs::Queue;
use crate::signals::Signals;
use crate::ui::count;

/// How long a queue hides a message from others while its records are replayed; it is hidden again in time.
const HIDDEN: Duration = Duration::from_secs(900);
/// How long a queue is asked for messages.
const WAIT: Duration = Duration::from_secs(1);

/// The places that a run takes documents from, and what it has found there.
pub(super) struct Sources {
    pub(super) held: Vec<Held>,
    s3: Option<S3>,
    queue: Option<Queue>,
    keeps: bool,
    /// Whether the queue has more than a run can take.
    pub(super) has_more: bool,
}

/// One file, object or message with its documents.
pub(super) struct Held {
    /// How the user knows it.
    pub(super) shown: String,
    pub(super) documents: Vec<Document>,
    place: Place,
}

enum Place {
    /// It stays as it is.
    File,
    Object(S3Url),
    /// With its receipt.
    Message(String),
}

impl Sources {
    /// Reads all documents. What is not a document is an error, except a message of a queue, which is reported and stays.
    pub(super) async fn read(
        names: &[String],
        queue: Option<&str>,
        keeps: bool,
        (aws, signals): (&Aws<'_>, &Signals),
        say: &dyn Fn(&str),
    ) -> Result<Self, Failure> {
        let mut sources = Self { held: Vec::new(), s3: None, queue: None, keeps, has_more: false };
        let read = async {
            for name in names {
                match S3Url::parse(name) {
                    Some(url) => sources.read_bucket(&url, aws).await?,
                    None => sources.read_file(&PathBuf::from(name))?,
                }
            }
            match queue {
                Some(queue) => sources.read_queue(queue, aws, say).await,
                None => Ok(()),
            }
        };
        match signals.unless_interrupted("the documents were read", read).await {
            Ok(()) => Ok(sources),
            Err(failure) => {
                sources.release(|_| true).await;
                Err(failure)
            }
        }
    }

    fn read_file(&mut self, path: &Path) -> Result<(), Failure> {
        let name = input::name(path);
        let others = format!("if it is a bucket, write `s3://{name}`; if it is a queue, use `--queue {name}`");
        let text = input::read_or_advise(path, &others)?;
        self.add(name, Place::File, &text)
    }

    async fn read_bucket(&mut self, url: &S3Url, aws: &Aws<'_>) -> Result<(), Failure> {
        if self.s3.is_none() {
            self.s3 = Some(S3::new(aws).await?);
        }
        let s3 = self.s3.as_ref().expect("it was just set");
        let texts = s3.texts(url).await?;
        texts.into_iter().try_for_each(|(object, text)| self.add(object.to_string(), Place::Object(object), &text))
    }

    /// Takes all messages of the queue: those that hold no document are made visible again at once.
    async fn read_queue(&mut self, name: &str, aws: &Aws<'_>, say: &dyn Fn(&str)) -> Result<(), Failure> {
        self.queue = Some(Queue::resolve(name, aws).await?);
        let (mut bytes, mut others, mut letters) = (0, Vec::new(), 0);
        loop {
            let queue = self.queue.as_ref().expect("it was just set");
            let messages = match queue.receive(HIDDEN, WAIT).await {
                Err(error) if error.is_over_limit() && !self.held.is_empty() => {
                    self.has_more = true;
                    break;
                }
                messages => messages.map_err(Failure::not_begun)?,
            };
            if messages.is_empty() {
                break;
            }
            for message in messages {
                bytes += message.body.len();
                let shown = format!("message {}", message.id);
                match documents_in(&shown, &message.body) {
                    Ok(documents) => {
                        self.held.push(Held { shown, documents, place: Place::Message(message.receipt) });
                    }
                    Err(failure) => {
                        letters += usize::from(has_letter(&message.body));
                        say(&format!("{failure}: it stays in the queue"));
                        others.push(message.receipt);
                    }
                }
            }
            if bytes > MAX_BYTES {
                self.has_more = true;
                break;
            }
        }
        self.show_again(&others).await;
        if self.held.is_empty() && letters > 0 {
            return Err(Failure::not_begun(format!(
                "{name} has dead letters, and no on-failure document: use `lambda-streams redrive --queue {name}`"
            )));
        }
        if self.held.is_empty() && !others.is_empty() {
            let messages = count(others.len(), "message");
            return Err(Failure::not_begun(format!("{name} has {messages} and no on-failure document")));
        }
        if self.held.is_empty() {
            return Err(Failure::not_begun(format!(
                "{name} has no visible message with an on-failure document: all are replayed, or another consumer has received them"
            )));
        }
        Ok(())
    }

    fn add(&mut self, shown: String, place: Place, text: &str) -> Result<(), Failure> {
        let documents = documents_in(&shown, text)?;
        self.held.push(Held { shown, documents, place });
        Ok(())
    }

    /// Deletes a place of which all records are done.
    ///
    /// # Errors
    /// If it cannot be deleted: its records are done nevertheless.
    pub(super) async fn delete(&self, held: &Held) -> Result<(), String> {
        match &held.place {
            _ if self.keeps => Ok(()),
            Place::File => Ok(()),
            Place::Object(url) => match &self.s3 {
                Some(s3) => s3.delete(url).await.map_err(|error| error.to_string()),
                None => Ok(()),
            },
            Place::Message(receipt) => match &self.queue {
                Some(queue) => match queue.delete(std::slice::from_ref(receipt)).await {
                    Ok(refused) => refused.into_iter().next().map_or(Ok(()), |refused| Err(refused.why)),
                    Err(error) => Err(error.to_string()),
                },
                None => Ok(()),
            },
        }
    }

    /// Whether a document goes once its records are done.
    pub(super) fn deletes(&self, held: &Held) -> bool {
        !self.keeps && !matches!(held.place, Place::File)
    }

    /// Hides the messages for some more time.
    pub(super) async fn hide_again(&self, is_left: impl Fn(usize) -> bool) -> Result<(), Failure> {
        let receipts = self.receipts(is_left);
        match &self.queue {
            Some(queue) if !receipts.is_empty() => {
                queue.hide(&receipts, HIDDEN).await.map(drop).map_err(Failure::failed)
            }
            _ => Ok(()),
        }
    }

    /// How often the messages are hidden again.
    pub(super) fn hides_every(&self) -> Option<Duration> {
        self.queue.is_some().then_some(HIDDEN / 3)
    }

    /// Makes the messages that are left visible at once, so the next run finds them.
    pub(super) async fn release(&self, is_left: impl Fn(usize) -> bool) {
        self.show_again(&self.receipts(is_left)).await;
    }

    async fn show_again(&self, receipts: &[String]) {
        if let (Some(queue), false) = (&self.queue, receipts.is_empty()) {
            // If it fails, they become visible by themselves after a while.
            let _ = queue.hide(receipts, Duration::ZERO).await;
        }
    }

    fn receipts(&self, is_left: impl Fn(usize) -> bool) -> Vec<String> {
        let held = self.held.iter().enumerate().filter(|(index, _)| is_left(*index));
        held.filter_map(|(_, held)| match &held.place {
            Place::Message(receipt) => Some(receipt.clone()),
            _ => None,
        })
        .collect()
    }
}

fn has_letter(text: &str) -> bool {
    documents::find(text).iter().any(|found| matches!(found.what, What::DeadLetter { .. }))
}

fn documents_in(name: &str, text: &str) -> Result<Vec<Document>, Failure> {
    let found = documents::find(text);
    if found.is_empty() {
        return Err(Failure::not_begun(format!("{name}: it is empty")));
    }
    let documents = found.into_iter().map(|found| match found.what {
        What::OnFailure(document) => Ok(*document),
        What::DeadLetter { .. } => Err(format!("{name} has a dead letter: use `lambda-streams redrive`")),
        What::Unknown(reason) => Err(format!("{name}: {reason}")),
    });
    documents.collect::<Result<_, _>>().map_err(Failure::not_begun)
}

//! The handlers, in the processor that runs on Lambda, with changes of the tests' own.

use std::error::Error;
use std::sync::{Arc, Mutex};

use lambda_streams::testing::{TestStream, item};
use lambda_streams::{Deadline, MemoryDeadLetterQueue, Outcome, RetryPolicy, StreamProcessor};

use crate::handlers;
use crate::mailer::{Mail, Mailer};
use crate::order::Order;

type TestResult = Result<(), Box<dyn Error>>;

#[tokio::test]
async fn a_new_order_is_confirmed() -> TestResult {
    let world = World::new()?;
    assert_eq!(
        world.process(orders().insert(item(order("new")))).await?,
        [Outcome::Succeeded]
    );
    assert_eq!(
        world.mails(),
        ["ann@example.com: We have received your order a."]
    );
    Ok(())
}

#[tokio::test]
async fn a_new_status_sends_a_mail_and_other_changes_do_not() -> TestResult {
    let world = World::new()?;
    let dearer = Order {
        total: 2000,
        ..order("new")
    };
    let changes = orders()
        .modify(item(order("new")), item(dearer))
        .modify(item(order("new")), item(order("sent")));
    let outcomes = world.process(changes).await?;
    assert!(
        matches!(outcomes[..], [Outcome::Skipped(_), Outcome::Succeeded]),
        "{outcomes:?}"
    );
    assert_eq!(
        world.mails(),
        ["ann@example.com: Your order a is now sent."]
    );
    Ok(())
}

#[tokio::test]
async fn a_removed_order_was_cancelled_or_has_expired() -> TestResult {
    let world = World::new()?;
    let expiry = orders().expire(item(order("sent")));
    assert_eq!(
        world.process(orders().remove(item(order("new")))).await?,
        [Outcome::Succeeded]
    );
    assert_eq!(world.process(expiry).await?, [Outcome::Succeeded]);
    assert_eq!(
        world.mails(),
        [
            "ann@example.com: Your order a was cancelled.",
            "ann@example.com: Your order a was closed."
        ]
    );
    Ok(())
}

/// One record that can never succeed is a dead letter; the records around it are processed.
#[tokio::test]
async fn an_order_without_an_address_is_a_dead_letter() -> TestResult {
    let world = World::new()?;
    let wrong = Order {
        id: "b".to_owned(),
        customer: "Bob".to_owned(),
        ..order("new")
    };
    let changes = orders().insert(item(wrong)).insert(item(order("new")));
    assert_eq!(
        world.process(changes).await?,
        [Outcome::DeadLettered, Outcome::Succeeded]
    );
    assert_eq!(
        world.letters.letters()[0].error_message(),
        "the customer is not an address"
    );
    Ok(())
}

/// What may succeed later is reported, so Lambda delivers it again.
#[tokio::test]
async fn while_mail_is_down_orders_are_redelivered() -> TestResult {
    let world = World::new()?;
    world.mailer.set_down(true);
    let changes = orders().insert(item(order("new")));
    assert_eq!(world.process(changes.clone()).await?, [Outcome::Reported]);
    world.mailer.set_down(false);
    assert_eq!(world.process(changes).await?, [Outcome::Succeeded]);
    assert_eq!(world.mails().len(), 1);
    Ok(())
}

/// `events/batch.json` is what the README invokes the function with.
#[tokio::test]
async fn the_event_file_has_a_change_of_each_kind() -> TestResult {
    let world = World::new()?;
    let payload = include_bytes!("../events/batch.json");
    let report = world
        .processor
        .process_payload(payload.to_vec(), Deadline::none())
        .await?;
    assert_eq!(report.outcomes(), [Outcome::Succeeded; 3]);
    assert_eq!(world.mails().len(), 3);
    Ok(())
}

/// The processor with its handlers, and what its world has seen of it.
struct World {
    processor: StreamProcessor,
    mailer: TestMailer,
    letters: MemoryDeadLetterQueue,
}

impl World {
    fn new() -> Result<Self, lambda_streams::Error> {
        let (mailer, letters) = (TestMailer::default(), MemoryDeadLetterQueue::new());
        // One attempt in an invocation, so no test waits for the next one.
        let retry = RetryPolicy::default().max_attempts(1);
        let builder = StreamProcessor::builder()
            .retry(retry)
            .dead_letter_queue(letters.clone());
        Ok(Self {
            processor: handlers::register(builder, &mailer).build()?,
            mailer,
            letters,
        })
    }

    async fn process(&self, changes: TestStream) -> Result<Vec<Outcome>, lambda_streams::Error> {
        Ok(self
            .processor
            .process(changes.event()?, Deadline::none())
            .await
            .outcomes())
    }

    fn mails(&self) -> Vec<String> {
        let mails = self
            .mailer
            .sent
            .lock()
            .expect("no test panics while it holds the lock");
        mails
            .iter()
            .map(|mail| format!("{}: {}", mail.to, mail.text))
            .collect()
    }
}

/// Keeps mail instead of sending it, or fails.
#[derive(Debug, Clone, Default)]
struct TestMailer {
    sent: Arc<Mutex<Vec<Mail>>>,
    down: Arc<Mutex<bool>>,
}

impl TestMailer {
    fn set_down(&self, down: bool) {
        *self
            .down
            .lock()
            .expect("no test panics while it holds the lock") = down;
    }
}

impl Mailer for TestMailer {
    async fn send(&self, mail: Mail) -> Result<(), Box<dyn Error + Send + Sync>> {
        if *self
            .down
            .lock()
            .expect("no test panics while it holds the lock")
        {
            return Err("mail is down".into());
        }
        self.sent
            .lock()
            .expect("no test panics while it holds the lock")
            .push(mail);
        Ok(())
    }
}

fn orders() -> TestStream {
    TestStream::new("orders", &["id"])
}

fn order(status: &str) -> Order {
    Order {
        id: "a".to_owned(),
        customer: "ann@example.com".to_owned(),
        status: status.to_owned(),
        total: 1500,
    }
}

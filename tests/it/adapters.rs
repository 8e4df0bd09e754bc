//! Handlers that are nearly one: functions that take clients, and functions with errors of their own.

use std::error::Error;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lambda_streams::{
    Deadline, Handler, HandlerError, HandlerResultExt, Insert, Outcome, Record, RetryPolicy, StreamProcessor, err_into,
    with,
};

use crate::support::{Order, event, inserts, outcomes};

/// What the handlers work with.
#[derive(Default)]
struct Shelf(Mutex<Vec<String>>);

impl Shelf {
    async fn put(self: Arc<Self>, change: Insert<Order>) -> Result<(), HandlerError> {
        self.0.lock().unwrap().push(change.new.id);
        Ok(())
    }
}

async fn outcomes_of(handler: impl Handler<Insert<Order>>) -> Vec<(Outcome, u32)> {
    let retry = RetryPolicy::default().max_attempts(2).base_delay(Duration::ZERO).max_delay(Duration::ZERO);
    let processor = StreamProcessor::builder().on_insert(handler).retry(retry).build().unwrap();
    let report = processor.process(event(&inserts(1)), Deadline::none()).await;
    let attempts = report.records().iter().map(|record| record.attempts);
    outcomes(&report).into_iter().zip(attempts).collect()
}

#[tokio::test(start_paused = true)]
async fn a_function_is_given_what_it_works_with() {
    async fn put(shelf: Arc<Shelf>, change: Insert<Order>) -> Result<(), HandlerError> {
        shelf.put(change).await
    }
    let shelf = Arc::new(Shelf::default());
    let closure = |shelf: Arc<Shelf>, change: Insert<Order>| async move { shelf.put(change).await };
    assert_eq!(outcomes_of(with(Arc::clone(&shelf), put)).await, [(Outcome::Succeeded, 1)]);
    assert_eq!(outcomes_of(with(Arc::clone(&shelf), Shelf::put)).await, [(Outcome::Succeeded, 1)]);
    assert_eq!(outcomes_of(with(Arc::clone(&shelf), closure)).await, [(Outcome::Succeeded, 1)]);
    assert_eq!(*shelf.0.lock().unwrap(), ["item-0"; 3]);
}

enum ShippingError {
    Refused,
    Busy,
}

impl From<ShippingError> for HandlerError {
    fn from(error: ShippingError) -> Self {
        match error {
            ShippingError::Refused => Self::permanent("the carrier refuses it"),
            ShippingError::Busy => Self::retryable("the carrier is busy"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_function_may_have_an_error_of_its_own() {
    let refused = |_: Insert<Order>| async { Err(ShippingError::Refused) };
    let busy = |_: Insert<Order>| async { Err(ShippingError::Busy) };
    let other = |_: Insert<Order>| async { Err(lambda_runtime::Error::from("no connection")) };
    let good = |_: Insert<Order>| async { Ok::<(), ShippingError>(()) };
    assert_eq!(outcomes_of(err_into(refused)).await, [(Outcome::Reported, 1)]);
    assert_eq!(outcomes_of(err_into(busy)).await, [(Outcome::Reported, 2)]);
    assert_eq!(outcomes_of(err_into(other)).await, [(Outcome::Reported, 2)]);
    assert_eq!(outcomes_of(err_into(good)).await, [(Outcome::Succeeded, 1)]);
}

#[tokio::test(start_paused = true)]
async fn the_adapters_compose() {
    async fn put(shelf: Arc<Shelf>, change: Insert<Order>) -> Result<(), ShippingError> {
        shelf.0.lock().unwrap().push(change.new.id);
        Err(ShippingError::Refused)
    }
    let shelf = Arc::new(Shelf::default());
    assert_eq!(outcomes_of(err_into(with(Arc::clone(&shelf), put))).await, [(Outcome::Reported, 1)]);
    assert_eq!(*shelf.0.lock().unwrap(), ["item-0"]);
}

#[tokio::test(start_paused = true)]
async fn a_result_says_whether_another_attempt_may_help() {
    let permanent = |_: Insert<Order>| async { "many".parse::<u64>().map(|_| ()).permanent() };
    let retryable = |_: Insert<Order>| async { "many".parse::<u64>().map(|_| ()).retryable() };
    assert_eq!(outcomes_of(permanent).await, [(Outcome::Reported, 1)]);
    assert_eq!(outcomes_of(retryable).await, [(Outcome::Reported, 2)]);

    let begun = tokio::time::Instant::now();
    let later = |_: Insert<Order>| async { Err::<(), _>("busy").retry_after(Duration::from_secs(7)) };
    assert_eq!(outcomes_of(later).await, [(Outcome::Reported, 2)]);
    assert_eq!(begun.elapsed(), Duration::from_secs(7));
}

#[tokio::test(start_paused = true)]
async fn what_a_result_says_holds_whatever_the_processor_says() {
    let retryable = |_: Record| async { "many".parse::<u64>().map(|_| ()).retryable() };
    let retry = RetryPolicy::default().max_attempts(2).base_delay(Duration::ZERO).max_delay(Duration::ZERO);
    let builder = StreamProcessor::builder().on_record(retryable).permanent_if(|_| true).retry(retry);
    let report = builder.build().unwrap().process(event(&inserts(1)), Deadline::none()).await;
    assert_eq!(report.records()[0].attempts, 2);
}

#[test]
fn a_handlers_error_can_be_passed_on() {
    fn test() -> Result<(), Box<dyn Error>> {
        Err(HandlerError::permanent("no such customer"))?;
        Ok(())
    }
    fn sendable() -> Result<(), Box<dyn Error + Send + Sync>> {
        let handled: Result<(), HandlerError> = Err(HandlerError::permanent("no such customer"));
        handled.map_err(HandlerError::into_source)
    }
    assert_eq!(test().unwrap_err().to_string(), "no such customer");
    assert_eq!(sendable().unwrap_err().to_string(), "no such customer");
}

//! The README's "Deadline": the user's code may compute without awaiting, and still nothing starts after the stop, nothing keeps
//! the thread for a whole batch, and a batch that does not fit into one invocation is finished by several.

use std::collections::VecDeque;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use futures::FutureExt;
use lambda_streams::Outcome::*;
use lambda_streams::{
    Counts, DeadLetter, DeadLetterError, DeadLetterQueue, Deadline, ErrorKind, FailurePolicy, HandlerError, Lanes,
    ProcessorBuilder, Record, RetryPolicy, StreamProcessor,
};
use tokio::time::{Instant, sleep};

use crate::support::{Act, Change, Reply, Script, TestQueue, checkpoint, event, inserts, outcomes, process};

const MILLISECOND: Duration = Duration::from_millis(1);

/// Keeps the thread for this long.
fn compute(duration: Duration) {
    // Moves the paused clock at once; what it awaits after that is not waited for.
    let _ = tokio::time::advance(duration).now_or_never();
}

/// Collects how long after the beginning of a batch something happened.
#[derive(Clone)]
struct Times {
    begun: Instant,
    times: Arc<Mutex<Vec<Duration>>>,
}

impl Times {
    fn start() -> Self {
        Self { begun: Instant::now(), times: Arc::default() }
    }

    fn note(&self) {
        self.times.lock().unwrap().push(self.begun.elapsed());
    }

    fn all(&self) -> Vec<Duration> {
        self.times.lock().unwrap().clone()
    }
}

fn filtering(each: Duration, keep: bool, times: &Times) -> ProcessorBuilder {
    let times = times.clone();
    StreamProcessor::builder().on_record(|_: Record| async { Ok(()) }).filter(move |_| {
        times.note();
        compute(each);
        keep
    })
}

/// The default margin of 2 s is 250 ms.
const STOP: Duration = Duration::from_millis(1_750);

#[tokio::test(start_paused = true)]
async fn no_filter_runs_after_the_stop() {
    for keep in [true, false] {
        let times = Times::start();
        let processor = filtering(10 * MILLISECOND, keep, &times).build().unwrap();
        let report = processor.process(event(&inserts(300)), Deadline::after(Duration::from_secs(2))).await;
        assert!(report.stopped_at_deadline());
        let asked = times.all();
        assert_eq!(asked.len(), 175, "one every 10 ms until the stop");
        assert!(asked.iter().all(|time| *time < STOP), "{asked:?}");
        assert_eq!(times.begun.elapsed(), STOP, "the response is not late");
        let counts = report.counts();
        assert_eq!((counts.succeeded, counts.unfinished), if keep { (174, 126) } else { (0, 125) });
    }
}

#[tokio::test(start_paused = true)]
async fn no_function_of_keys_runs_after_the_stop() {
    let times = Times::start();
    let lanes = Lanes::by_keys({
        let times = times.clone();
        move |keys| {
            times.note();
            compute(10 * MILLISECOND);
            keys.text("id").map(Into::into)
        }
    });
    let processor = StreamProcessor::builder().on_record(|_: Record| async { Ok(()) }).lanes(lanes).build().unwrap();
    let report = processor.process(event(&inserts(300)), Deadline::after(Duration::from_secs(2))).await;
    assert!(report.stopped_at_deadline());
    let asked = times.all();
    assert_eq!(asked.len(), 175, "one every 10 ms until the stop");
    assert!(asked.iter().all(|time| *time < STOP), "{asked:?}");
    assert_eq!(times.begun.elapsed(), STOP, "the response is not late");
    assert_eq!(report.counts().succeeded, 174);
}

#[tokio::test(start_paused = true)]
async fn a_batch_with_a_slow_filter_is_finished_by_several_invocations() {
    for keep in [true, false] {
        let processor = filtering(10 * MILLISECOND, keep, &Times::start()).build().unwrap();
        let mut left = inserts(600);
        let mut invocations = 0;
        while !left.is_empty() {
            let report = processor.process(event(&left), Deadline::after(Duration::from_secs(2))).await;
            let done = checkpoint(&report).unwrap_or(left.len());
            assert!(done == left.len() || done >= 174, "the checkpoint moved by {done} records");
            left.drain(..done);
            invocations += 1;
        }
        assert_eq!(invocations, 4);
    }
}

/// Runs the batch in one task with a future that counts how often it gets its turn.
async fn turns_of_others(processor: &StreamProcessor, changes: &[Change]) -> usize {
    let turns = AtomicUsize::new(0);
    let other = poll_fn(|context| {
        turns.fetch_add(1, Ordering::Relaxed);
        context.waker().wake_by_ref();
        Poll::<()>::Pending
    });
    let batch = pin!(process(processor, changes));
    futures::future::select(batch, pin!(other)).await;
    turns.into_inner()
}

#[tokio::test(start_paused = true)]
async fn reading_a_batch_gives_others_their_turn() {
    let quick = filtering(Duration::ZERO, false, &Times::start()).build().unwrap();
    assert!(turns_of_others(&quick, &inserts(1_000)).await >= 7, "at least one every 128 records");
    let slow = filtering(MILLISECOND, false, &Times::start()).build().unwrap();
    assert!(turns_of_others(&slow, &inserts(1_000)).await >= 64, "one every 10 ms and a few records");
}

#[tokio::test(start_paused = true)]
async fn the_rest_of_a_stopped_batch_gives_others_their_turn() {
    let slow = |_: Record| async {
        compute(Duration::from_secs(60));
        Ok(())
    };
    let processor = StreamProcessor::builder().on_record(slow).build().unwrap();
    let mut batch = pin!(processor.process(event(&inserts(1_000)), Deadline::after(Duration::from_secs(30))));
    let mut polls = 0;
    let report = poll_fn(|context| {
        polls += 1;
        batch.as_mut().poll(context)
    })
    .await;
    assert_eq!(report.counts().unfinished, 999);
    assert!(polls >= 7, "{polls}");
}

/// Handlers that compute this long, and then wait as long.
fn computing(each: Duration, times: &Times) -> ProcessorBuilder {
    let times = times.clone();
    StreamProcessor::builder().retry(RetryPolicy::none()).on_record(move |_: Record| {
        let times = times.clone();
        async move {
            times.note();
            compute(each);
            sleep(each).await;
            compute(each);
            Ok(())
        }
    })
}

#[tokio::test(start_paused = true)]
async fn no_handler_starts_after_the_stop() {
    for concurrency in [1, 10, 64] {
        let times = Times::start();
        let processor = computing(100 * MILLISECOND, &times).concurrency(concurrency).build().unwrap();
        let report = processor.process(event(&inserts(100)), Deadline::after(600 * MILLISECOND)).await;
        assert!(report.stopped_at_deadline());
        let started = times.all();
        assert!(started.iter().all(|time| *time < 350 * MILLISECOND), "{started:?}");
        assert!(times.begun.elapsed() < 600 * MILLISECOND, "the response came after {:?}", times.begun.elapsed());
    }
}

/// Times of which several fit into the 10 ms before others get their turn, so the stop comes in between.
const SHORT: [Duration; 4] = [
    Duration::from_micros(700),
    Duration::from_micros(1_100),
    Duration::from_micros(3_500),
    Duration::from_micros(4_500),
];

#[tokio::test(start_paused = true)]
async fn no_handler_starts_after_the_stop_within_a_turn() {
    for each in SHORT {
        let times = Times::start();
        let noted = times.clone();
        let handler = move |_: Record| {
            noted.note();
            compute(each);
            async { Ok(()) }
        };
        let processor = StreamProcessor::builder().on_record(handler).build().unwrap();
        let report = processor.process(event(&inserts(600)), Deadline::after(500 * MILLISECOND)).await;
        assert!(report.stopped_at_deadline());
        let last = times.all().into_iter().max().expect("handlers ran");
        assert!(last < 250 * MILLISECOND && last + each >= 250 * MILLISECOND, "each {each:?}: {last:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn handlers_that_compute_when_they_are_woken_do_not_hide_the_stop() {
    let begun = Instant::now();
    let handler = |_: Record| async {
        sleep(100 * MILLISECOND).await;
        compute(100 * MILLISECOND);
        sleep(100 * MILLISECOND).await;
        Ok(())
    };
    let processor = StreamProcessor::builder().on_record(handler).concurrency(64).build().unwrap();
    let report = processor.process(event(&inserts(64)), Deadline::after(Duration::from_secs(1))).await;
    assert!(report.stopped_at_deadline());
    assert!(
        begun.elapsed() < Duration::from_secs(1),
        "64 are woken at once; the response came after {:?}",
        begun.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn each_attempt_has_all_of_its_timeout() {
    let processor = computing(80 * MILLISECOND, &Times::start())
        .concurrency(10)
        .handler_timeout(Duration::from_secs(3))
        .build()
        .unwrap();
    let report = process(&processor, &inserts(10)).await;
    assert_eq!(outcomes(&report), [Succeeded; 10], "each takes 240 ms of its own and waits for the others' 2.2 s");
    let processor = computing(80 * MILLISECOND, &Times::start())
        .concurrency(10)
        .handler_timeout(100 * MILLISECOND)
        .build()
        .unwrap();
    let report = process(&processor, &inserts(1)).await;
    assert_eq!(report.records()[0].failure.as_ref().unwrap().kind, ErrorKind::Timeout);
}

/// Accepts letters after it has kept the thread for a while, as one that compresses them does.
struct ComputingQueue {
    each: Duration,
    waits: Option<Duration>,
    calls: Times,
}

impl DeadLetterQueue for ComputingQueue {
    async fn send(&self, letters: &[DeadLetter]) -> Vec<Result<(), DeadLetterError>> {
        self.calls.note();
        compute(self.each);
        if let Some(wait) = self.waits {
            sleep(wait).await;
        }
        letters.iter().map(|_| Ok(())).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_computes_does_not_make_the_response_late() {
    for seconds in [1, 2, 3] {
        let calls = Times::start();
        let queue = ComputingQueue { each: 200 * MILLISECOND, waits: Some(MILLISECOND), calls: calls.clone() };
        let processor = StreamProcessor::builder()
            .on_record(|_: Record| async { Err(HandlerError::permanent("no such customer")) })
            .dead_letter_queue(queue)
            .concurrency(100)
            .build()
            .unwrap();
        let deadline = Duration::from_secs(seconds);
        let report = processor.process(event(&inserts(300)), Deadline::after(deadline)).await;
        assert!(report.stopped_at_deadline());
        assert!(calls.begun.elapsed() < deadline + 100 * MILLISECOND, "after {:?}", calls.begun.elapsed());
        assert!(calls.all().iter().all(|call| *call < deadline - 62 * MILLISECOND), "no call begins at the end");
        let counts = report.counts();
        assert!(counts.dead_lettered > 0 && counts.reported > 0, "{counts:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn no_call_of_the_queue_begins_after_the_last_moment() {
    for each in SHORT {
        let calls = Times::start();
        let queue = ComputingQueue { each, waits: None, calls: calls.clone() };
        let processor = StreamProcessor::builder()
            .on_record(|_: Record| async { Err(HandlerError::permanent("no such customer")) })
            .dead_letter_queue(queue)
            .deadline_margin(40 * MILLISECOND)
            .build()
            .unwrap();
        let report = processor.process(event(&inserts(2_000)), Deadline::after(100 * MILLISECOND)).await;
        let last = calls.all().into_iter().max().expect("letters were sent");
        assert!(
            last < 90 * MILLISECOND,
            "each {each:?}: a quarter of the margin is left at 90 ms, and not at {last:?}"
        );
        assert!(report.counts().reported > 0, "{:?}", report.counts());
    }
}

#[tokio::test(start_paused = true)]
async fn dead_letters_go_out_while_handlers_are_never_done() {
    let queue = TestQueue::default();
    let left = Arc::new(AtomicUsize::new(0));
    let (accepted_at, queue_of_handler) = (Arc::new(AtomicUsize::new(usize::MAX)), queue.clone());
    let (seen, counted) = (Arc::clone(&accepted_at), Arc::clone(&left));
    let processor = StreamProcessor::builder()
        .on_record(move |record: Record| {
            let (queue, seen, counted) = (queue_of_handler.clone(), Arc::clone(&seen), Arc::clone(&counted));
            async move {
                if record.event_id() == Some("event-0") {
                    return Err(HandlerError::permanent("no such customer"));
                }
                let number = counted.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
                if !queue.accepted().is_empty() {
                    seen.fetch_min(number, Ordering::Relaxed);
                }
                Ok(())
            }
        })
        .failure_policy(FailurePolicy::DeadLetterAll)
        .dead_letter_queue(queue.clone())
        .build()
        .unwrap();
    let report = process(&processor, &inserts(500)).await;
    assert_eq!((report.counts().succeeded, queue.accepted().len()), (499, 1));
    let at = accepted_at.load(Ordering::Relaxed);
    assert!(at < 140, "the letter of the first record was accepted while handler {at} ran");
}

/// Handlers that each wait for the one before, as those do that share a connection: the end of one wakes the next.
#[derive(Default)]
struct Chain {
    waiting: Mutex<VecDeque<Box<dyn FnOnce() + Send>>>,
    begun: AtomicUsize,
}

impl Chain {
    /// Computes for a millisecond once the handler before is done, and wakes the next.
    async fn take_turn(&self, wake: impl FnOnce() + Send + 'static, woken: impl Future) {
        if self.begun.fetch_add(1, Ordering::Relaxed) + 1 != AT_ONCE {
            self.waiting.lock().unwrap().push_back(Box::new(wake));
            woken.await;
        }
        compute(MILLISECOND);
        let next = self.waiting.lock().unwrap().pop_front();
        if let Some(wake) = next {
            wake();
        }
    }
}

/// With ten at once, the tenth does not wait, and so wakes the first.
const AT_ONCE: usize = 10;

#[tokio::test(start_paused = true)]
async fn handlers_that_wake_each_other_give_others_their_turn() {
    let chain = Arc::new(Chain::default());
    let processor = StreamProcessor::builder()
        .concurrency(AT_ONCE)
        .on_record(move |_: Record| {
            let chain = Arc::clone(&chain);
            async move {
                let (sender, receiver) = futures::channel::oneshot::channel();
                chain.take_turn(|| sender.send(()).unwrap_or(()), receiver).await;
                Ok(())
            }
        })
        .build()
        .unwrap();
    let turns = turns_of_others(&processor, &inserts(1_000)).await;
    assert!(turns >= 90, "{turns} turns while 1,000 records computed for a second: about one every 10 ms");
}

#[tokio::test(start_paused = true)]
async fn a_retry_does_not_wait_for_the_whole_batch() {
    let chain = Arc::new(Chain::default());
    let (attempts, retried_at) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(usize::MAX)));
    let seen = Arc::clone(&retried_at);
    let processor = StreamProcessor::builder()
        .concurrency(AT_ONCE)
        .retry(RetryPolicy::default().base_delay(MILLISECOND))
        .on_record(move |record: Record| {
            let (chain, attempts, seen) = (Arc::clone(&chain), Arc::clone(&attempts), Arc::clone(&seen));
            async move {
                if record.event_id() == Some("event-0") {
                    if attempts.fetch_add(1, Ordering::Relaxed) == 0 {
                        return Err("busy".into());
                    }
                    seen.store(chain.begun.load(Ordering::Relaxed), Ordering::Relaxed);
                    return Ok(());
                }
                let (sender, receiver) = tokio::sync::oneshot::channel();
                chain.take_turn(|| sender.send(()).unwrap_or(()), receiver).await;
                Ok(())
            }
        })
        .build()
        .unwrap();
    let report = process(&processor, &inserts(2_000)).await;
    assert_eq!(report.counts().succeeded, 2_000);
    let at = retried_at.load(Ordering::Relaxed);
    assert!(at < 300, "the retry was due after 1 ms, and was made when {at} records of 1 ms had begun");
}

/// A handler that never waits, and uses up its task's budget in each poll, as one does that reads from a full channel.
async fn never_idle(each: Duration) {
    loop {
        compute(each);
        tokio::task::consume_budget().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_is_never_idle_times_out() {
    let processor = StreamProcessor::builder()
        .retry(RetryPolicy::none())
        .handler_timeout(Duration::from_secs(1))
        .on_record(|_: Record| async {
            never_idle(MILLISECOND / 10).await;
            Ok(())
        })
        .build()
        .unwrap();
    let report = processor.process(event(&inserts(1)), Deadline::after(Duration::from_secs(2))).await;
    assert_eq!(outcomes(&report), [Reported], "its timeout is 1 s, and its time was 1.75 s");
    assert_eq!(report.records()[0].failure.as_ref().unwrap().kind, ErrorKind::Timeout);
}

async fn beside_a_busy_one(concurrency: usize, idle: Duration, each: Duration) -> Counts {
    let processor = StreamProcessor::builder()
        .concurrency(concurrency)
        .on_record(move |record: Record| async move {
            if record.event_id() == Some("event-5") {
                if !idle.is_zero() {
                    sleep(idle).await;
                }
                never_idle(each).await;
            }
            sleep(MILLISECOND).await;
            Ok(())
        })
        .build()
        .unwrap();
    processor.process(event(&inserts(40)), Deadline::after(20_000 * each + Duration::from_secs(2))).await.counts()
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_is_never_idle_does_not_stop_the_others() {
    let counts = beside_a_busy_one(3, Duration::ZERO, MILLISECOND).await;
    assert_eq!((counts.succeeded, counts.unfinished), (39, 1), "{counts:?}");
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_uses_up_the_budget_does_not_stop_the_others() {
    let counts = beside_a_busy_one(3, Duration::ZERO, MILLISECOND / 100).await;
    assert_eq!((counts.succeeded, counts.unfinished), (39, 1), "{counts:?}");
}

#[tokio::test(start_paused = true)]
async fn a_permit_is_taken_while_a_handler_is_never_idle() {
    for each in [MILLISECOND, MILLISECOND / 100] {
        let counts = beside_a_busy_one(2, 5 * MILLISECOND / 2, each).await;
        assert_eq!((counts.succeeded, counts.unfinished), (39, 1), "{counts:?}");
    }
}

/// Never answers, and uses up its task's budget in each poll.
struct NeverIdleQueue(Duration);

impl DeadLetterQueue for NeverIdleQueue {
    async fn send(&self, _: &[DeadLetter]) -> Vec<Result<(), DeadLetterError>> {
        never_idle(self.0).await;
        Vec::new()
    }
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_is_never_idle_does_not_stop_the_handlers() {
    for each in [MILLISECOND, MILLISECOND / 100] {
        let processor = StreamProcessor::builder()
            .on_record(|record: Record| async move {
                if record.event_id() == Some("event-0") {
                    return Err(HandlerError::permanent("no such customer"));
                }
                sleep(MILLISECOND).await;
                Ok(())
            })
            .dead_letter_queue(NeverIdleQueue(each))
            .build()
            .unwrap();
        let report =
            processor.process(event(&inserts(40)), Deadline::after(20_000 * each + Duration::from_secs(2))).await;
        let counts = report.counts();
        assert_eq!((counts.succeeded, counts.reported), (39, 1), "{counts:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_retry_is_made_while_a_handler_is_never_idle() {
    for each in [MILLISECOND, MILLISECOND / 100] {
        let processor = StreamProcessor::builder()
            .retry(RetryPolicy::default().base_delay(10 * MILLISECOND))
            .on_record(move |record: Record| async move {
                match record.event_id() {
                    Some("event-0") => Err("the index is down".into()),
                    _ => {
                        never_idle(each).await;
                        Ok(())
                    }
                }
            })
            .build()
            .unwrap();
        let report =
            processor.process(event(&inserts(2)), Deadline::after(20_000 * each + Duration::from_secs(2))).await;
        assert_eq!(report.records()[0].attempts, 3, "each {each:?}");
    }
}

/// Answers after a wait, and then keeps the thread, as one does that reads a large response.
struct ComputesAfterAnswer {
    wait: Duration,
    each: Duration,
}

impl DeadLetterQueue for ComputesAfterAnswer {
    async fn send(&self, letters: &[DeadLetter]) -> Vec<Result<(), DeadLetterError>> {
        sleep(self.wait).await;
        compute(self.each);
        letters.iter().map(|_| Ok(())).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn answers_at_the_last_moment_do_not_make_the_response_late() {
    let begun = Instant::now();
    let queue = ComputesAfterAnswer { wait: 900 * MILLISECOND, each: 50 * MILLISECOND };
    let processor = StreamProcessor::builder()
        .on_record(|_: Record| async { Err(HandlerError::permanent("no such customer")) })
        .dead_letter_queue(queue)
        .build()
        .unwrap();
    let report = processor.process(event(&inserts(80)), Deadline::after(Duration::from_secs(1))).await;
    assert!(report.stopped_at_deadline());
    assert!(begun.elapsed() <= Duration::from_secs(1), "the response came after {:?}", begun.elapsed());
}

/// An error whose text takes long.
#[derive(Debug)]
struct SlowText(Duration);

impl fmt::Display for SlowText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        compute(self.0);
        f.write_str("slow")
    }
}

impl std::error::Error for SlowText {}

#[tokio::test(start_paused = true)]
async fn slow_errors_do_not_make_the_response_late() {
    for wait in [Duration::ZERO, 700 * MILLISECOND] {
        let begun = Instant::now();
        let processor = StreamProcessor::builder()
            .concurrency(64)
            .permanent_if(|_| {
                compute(20 * MILLISECOND);
                false
            })
            .on_record(move |_: Record| async move {
                if !wait.is_zero() {
                    sleep(wait).await;
                }
                Err(SlowText(20 * MILLISECOND).into())
            })
            .build()
            .unwrap();
        processor.process(event(&inserts(300)), Deadline::after(Duration::from_secs(1))).await;
        assert!(begun.elapsed() <= Duration::from_secs(1), "the response came after {:?}", begun.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn tiny_margins_and_past_deadlines_are_answered() {
    for (left, margin) in [(0, Some(0)), (0, None), (100, Some(0)), (100, Some(1)), (1, None), (100, Some(1_000))] {
        let queue = TestQueue::new(Reply::AcceptAfter(Duration::from_secs(60)));
        let script = Script::new([("item-0", Act::FailPermanently), ("item-1", Act::Hang)]);
        let mut builder = StreamProcessor::builder().on_record(script.clone()).dead_letter_queue(queue);
        if let Some(margin) = margin {
            builder = builder.deadline_margin(Duration::from_millis(margin));
        }
        let begun = Instant::now();
        let report =
            builder.build().unwrap().process(event(&inserts(3)), Deadline::after(Duration::from_millis(left))).await;
        assert_eq!(checkpoint(&report), Some(0));
        assert!(begun.elapsed() <= Duration::from_millis(left), "{left} {margin:?}: {:?}", begun.elapsed());
    }
}

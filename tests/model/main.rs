//! Properties P1 to P6 of the processor, with the local event source mapping as the world and a plain model as the
//! judge.
//!
//! A schedule is a stream, settings of mapping and processor, and what goes wrong: in handlers, in the dead-letter
//! queue, in invocations, in execution environments. In half of the schedules a bulk handler takes the inserted items; what the
//! promises say of it is in `judge_bulk`. In a third of them there are entities and conditions; which handler a record goes to is in
//! `routing`. Everything runs on a paused clock, so a schedule
//! is repeatable. What the idempotency store promises is judged in a smaller world of its own, `idempotency`.
//!
//! - `MODEL_SCHEDULES` is how many are tried; 10,000 by default.
//! - `MODEL_SEED` is where they begin; a failure prints the seed of its own.
//! - `SOAK_SECONDS` is for how long to go on with ever new seeds.

mod broken;
mod bulk;
mod draw;
mod environment;
mod handler;
mod idempotency;
mod judge;
mod judge_bulk;
mod ledger;
mod plan;
mod queue;
mod routing;
mod stream;
mod tally;
mod world;

use std::fmt::{Debug, Display};
use std::sync::Once;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};

use self::environment::Subject;
use self::plan::Plan;
use self::tally::Tally;

/// Schedules of one seed.
const CHUNK: u64 = 100;
/// In how many schedules a broken processor is tried, and in how many at most if it is caught in none of those.
const TRIES: u64 = 100;
const MOST_TRIES: u64 = 5_000;

fn number(variable: &str, default: u64) -> u64 {
    match std::env::var(variable) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{variable} is `{text}`: it must be a number")),
        Err(_) => default,
    }
}

/// Handlers and queues panic on purpose, thousands of times: that need not be printed.
fn hush_deliberate_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let loud = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !world::is_on_purpose(info.payload()) {
                loud(info);
            }
        }));
    });
}

fn runner(seed: u64, schedules: u64) -> TestRunner {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let config = Config {
        cases: schedules as u32,
        max_shrink_iters: 3_000,
        max_shrink_time: 60_000,
        failure_persistence: None,
        ..Config::default()
    };
    TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes))
}

/// Tries a chunk of schedules; a failure is shrunk, and says how to have it again.
fn try_chunk<P: Debug>(
    seed: u64,
    plans: impl Strategy<Value = P>,
    play: impl Fn(&P) -> Result<(), Vec<String>>,
) -> Result<(), String> {
    let result = runner(seed, CHUNK)
        .run(&plans, |plan| play(&plan).map_err(|violations| TestCaseError::fail(violations.join("\n"))));
    result.map_err(|error| match error {
        TestError::Fail(why, plan) => {
            format!("{why}\nof the schedule {plan:#?}\ntry it again with MODEL_SEED={seed} MODEL_SCHEDULES={CHUNK}")
        }
        TestError::Abort(why) => format!("no schedule could be made: {why}"),
    })
}

/// Tries chunks on every core while `more` gives seeds.
fn try_all(
    more: impl Fn() -> Option<u64> + Sync,
    try_chunk: impl Fn(u64) -> Result<(), String> + Sync,
    tally: &impl Display,
) {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let failures: Vec<String> = std::thread::scope(|scope| {
        let work = || {
            while let Some(seed) = more() {
                try_chunk(seed)?;
            }
            Ok(())
        };
        let workers: Vec<_> = (0..cores).map(|_| scope.spawn(work)).collect();
        let ended = workers.into_iter().map(|worker| worker.join().expect("the worker catches failures"));
        ended.filter_map(Result::<(), String>::err).collect()
    });
    println!("{tally}");
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

/// Tries a chunk of schedules of the processor.
fn play(seed: u64, tally: &Tally) -> Result<(), String> {
    try_chunk(seed, draw::plans(), |plan: &Plan| world::run(Subject::Processor, plan, tally))
}

/// For how many seconds to soak, and with which first seed; `None` if not at all.
fn first_of_soak() -> Option<(u64, u64)> {
    if std::env::var_os("SOAK_SECONDS").is_none() {
        println!("set SOAK_SECONDS to soak for that long");
        return None;
    }
    hush_deliberate_panics();
    let first = number("MODEL_SEED", std::time::UNIX_EPOCH.elapsed().expect("after the epoch").as_secs() << 20);
    println!("soaking from seed {first}");
    Some((number("SOAK_SECONDS", 0), first))
}

#[test]
fn every_schedule_keeps_the_promises() {
    hush_deliberate_panics();
    let (first, chunks) = (number("MODEL_SEED", 1), number("MODEL_SCHEDULES", 10_000).div_ceil(CHUNK));
    let (next, tally) = (AtomicU64::new(0), Tally::default());
    try_all(
        || Some(next.fetch_add(1, Ordering::Relaxed)).filter(|chunk| *chunk < chunks).map(|chunk| first + chunk),
        |seed| play(seed, &tally),
        &tally,
    );
    tally.assert_everything_happened();
}

#[test]
fn soak() {
    let Some((seconds, first)) = first_of_soak() else { return };
    let end = Instant::now() + Duration::from_secs(seconds);
    let (next, tally) = (AtomicU64::new(first), Tally::default());
    let more = || (Instant::now() < end).then(|| next.fetch_add(1, Ordering::Relaxed));
    try_all(more, |seed| play(seed, &tally), &tally);
}

/// A test that cannot fail proves nothing: each deliberately broken processor must be caught.
#[test]
fn every_broken_processor_is_caught() {
    hush_deliberate_panics();
    for subject in Subject::BROKEN {
        let mut caught = Vec::new();
        let mut runner = runner(1, MOST_TRIES);
        for number in 1..=MOST_TRIES {
            if number > TRIES && !caught.is_empty() {
                break;
            }
            let plan = draw::plans().new_tree(&mut runner).expect("a schedule can be made").current();
            // A broken processor may let a deliberate panic through, which says nothing of its promise.
            match std::panic::catch_unwind(|| world::run(subject, &plan, &Tally::default())) {
                Ok(Ok(())) => {}
                Ok(Err(violations)) => caught.push((number, violations)),
                Err(panic) if world::is_on_purpose(&*panic) => {}
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        let Some((number, violations)) = caught.first() else {
            panic!("{subject:?} was not caught in {MOST_TRIES} schedules")
        };
        let (count, first) = (caught.len(), violations.first().map_or("", String::as_str));
        println!("{subject:?} was caught in {count} of {TRIES} schedules, first in number {number}: {first}");
    }
}

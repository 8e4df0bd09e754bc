//! The memory after a checkpoint that is kept outside, and the marks of items, in a world of their own and judged by a plain model.
//!
//! A schedule is a table's changes; consumers of its stream, each with a mapping that delivers from the checkpoint, obeys the response and discards
//! batches; environments that come and go, crash at any await, or continue when their invocation has ended, so two run at
//! once; a store that fails, hangs, loses answers, and has writes that arrive late; dead letters, discarded batches and stretches of the
//! stream that come back at any moment, in any order, twice. In the end nothing fails, and everything comes back.
//!
//! - **P1**: what is skipped as done was done before by the same consumer: a handler succeeded, or its dead letter was accepted, or the
//!   mapping had given the record up. Of what comes from elsewhere than the stream, only success counts.
//! - **P2**: nothing is lost. Each change has had its effect, or was stale or superseded and a newer change of its item has, or is still
//!   in a queue because it cannot be decided whether it is stale.
//! - **P3**: no handler starts for a record that the mark of its item covered when it was read; and without store failures, an execution has
//!   raised the marks of what it has done when it answers.
//! - **P4**: what an execution without store failures has done after its checkpoint, none does again that reads what it has kept.
//! - **P5**: marks only rise.
//! - **P6**: from the stream, the changes of an item are handled in order, and never two at once.
//! - **P7**: with a guard in the sink's own transaction no effect is repeated as long as the guard's row lives; with one that admits only what
//!   is newer, no projection goes backwards. Both also where executions overlap. (Without a guard both happen, and are counted.)
//!
//! - **P8**: no mark is raised while a change of its item is handled, whose transaction that would cancel.
//!
//! The guards are the crate's own; the sink is a map that does what they say, and shares its rows with the store.

mod broken;
mod draw;
mod environment;
mod handler;
mod judge;
mod ledger;
mod plan;
mod rows;
mod sink;
mod store;
mod stream;
mod tally;
mod world;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use proptest::strategy::{Strategy, ValueTree};

use self::broken::Subject;
use self::tally::Tally;
use crate::{CHUNK, MOST_TRIES, TRIES, first_of_soak, hush_deliberate_panics, number, runner, try_all, try_chunk};

/// Tries a chunk of schedules.
fn play(seed: u64, tally: &Tally) -> Result<(), String> {
    try_chunk(seed, draw::plans(), |plan| world::run(Subject::Processor, plan, tally))
}

#[test]
fn every_schedule_keeps_the_promises_of_the_store() {
    hush_deliberate_panics();
    let (first, chunks) = (number("MODEL_SEED", 1), number("MODEL_SCHEDULES", 10_000).div_ceil(CHUNK));
    let (next, tally) = (AtomicU64::new(0), Tally::default());
    let more = || Some(next.fetch_add(1, Ordering::Relaxed)).filter(|chunk| *chunk < chunks).map(|chunk| first + chunk);
    try_all(more, |seed| play(seed, &tally), &tally);
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

/// A test that cannot fail proves nothing: each deliberately broken store, guard and handler must be caught.
#[test]
fn every_broken_store_is_caught() {
    hush_deliberate_panics();
    for subject in Subject::BROKEN {
        let mut caught = Vec::new();
        let mut runner = runner(1, MOST_TRIES);
        for number in 1..=MOST_TRIES {
            if number > TRIES && !caught.is_empty() {
                break;
            }
            let plan = draw::plans().new_tree(&mut runner).expect("a schedule can be made").current();
            if let Err(violations) = world::run(subject, &plan, &Tally::default()) {
                caught.push((number, violations));
            }
        }
        let Some((number, violations)) = caught.first() else {
            panic!("{subject:?} was not caught in {MOST_TRIES} schedules")
        };
        let (count, first) = (caught.len(), violations.first().map_or("", String::as_str));
        println!("{subject:?} was caught in {count} of {TRIES} schedules, first in number {number}: {first}");
    }
}

//! The table of ratios: every column measured in turn, round after round, so that a noisy machine is noisy for all.
//!
//! `cargo bench -p lambda-streams-benches --bench ratios [-- RECORDS…]`

use std::time::{Duration, Instant};

use futures::{StreamExt, stream};
use lambda_streams::{Deadline, Record, StreamEvent, StreamProcessor};
use lambda_streams_benches::{Column, Shape, Stage, payload};

/// How long each column is measured in all.
const TIME_PER_COLUMN: Duration = Duration::from_millis(1_500);

fn main() {
    let counts: Vec<usize> = std::env::args().filter_map(|argument| argument.parse().ok()).collect();
    let counts = if counts.is_empty() { vec![1, 100, 1_000, 3_700, 10_000] } else { counts };
    println!("nanoseconds per record and × by hand: the median of interleaved rounds, and the fastest\n");
    for count in counts {
        let stage = Stage::new(count);
        println!("{count} records, {} bytes", stage.body.len());
        print(&measure(&stage.columns()), count);
    }
    slow_handlers();
}

/// The times of each column's rounds, the fastest first.
fn measure<'a>(columns: &[Column<'a>]) -> Vec<(&'static str, Vec<Duration>)> {
    let mut rounds = vec![Vec::new(); columns.len()];
    let begun = Instant::now();
    while begun.elapsed() < TIME_PER_COLUMN * columns.len() as u32 {
        for (rounds, column) in rounds.iter_mut().zip(columns) {
            let body = column.body.to_vec();
            let begun = Instant::now();
            (column.run)(body);
            rounds.push(begun.elapsed());
        }
    }
    rounds.iter_mut().for_each(|rounds| rounds.sort());
    columns.iter().map(|column| column.name).zip(rounds).collect()
}

fn print(columns: &[(&'static str, Vec<Duration>)], count: usize) {
    let (_, by_hand) = &columns[0];
    let per_record = |time: Duration| time.as_nanos() as f64 / count as f64;
    let ratio = |by_hand: Duration, time: Duration| by_hand.as_secs_f64() / time.as_secs_f64();
    for (name, rounds) in columns {
        // Rounds take turns, so that there are as many of each.
        let middle = rounds.len() / 2;
        println!(
            "  {name:34} {:>8.0} {:>6.1} × {:>8.0} {:>6.1} ×",
            per_record(rounds[middle]),
            ratio(by_hand[middle], rounds[middle]),
            per_record(rounds[0]),
            ratio(by_hand[0], rounds[0]),
        );
    }
    println!();
}

/// 1,000 handlers of which every tenth takes 10 ms and the others 1 ms, on a paused clock: it tells scheduling alone.
fn slow_handlers() {
    println!("1,000 handlers of 1 ms, every tenth of 10 ms; milliseconds of virtual time until all are done");
    let duration = |number: usize| Duration::from_millis(if number.is_multiple_of(10) { 10 } else { 1 });
    let sleep = move |number| tokio::time::sleep(duration(number));
    let handler = move |record: Record| async move {
        let number: usize = record.sequence_number().as_str().parse().expect("a number that fits");
        sleep(number % 1_000).await;
        Ok(())
    };
    let processor = StreamProcessor::builder().on_record(handler).build().expect("a processor");
    let body = payload(Shape { images: false, ..Shape::of(1_000) });
    took("ours, ten at once", async {
        let event = StreamEvent::from_slice(&body).expect("a stream event");
        processor.process(event, Deadline::none()).await
    });
    took("waves of ten", async {
        for wave in 0..100 {
            stream::iter(wave * 10..wave * 10 + 10).for_each_concurrent(None, sleep).await;
        }
    });
    took("unbounded", stream::iter(0..1_000).for_each_concurrent(None, sleep));
}

fn took(name: &str, run: impl Future) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let time = runtime.expect("a runtime").block_on(async {
        let begun = tokio::time::Instant::now();
        run.await;
        begun.elapsed()
    });
    println!("  {name:34} {:>8}", time.as_millis());
}

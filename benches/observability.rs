//! What metrics and logs cost: the same batch without them and with them, interleaved, so a noisy machine is noisy
//! for all.
//!
//! `cargo bench --bench observability [-- RECORDS…]`; with `COLUMN RECORDS ROUNDS` it runs one column that many times, for
//! profilers.

use std::time::{Duration, Instant};

use lambda_streams::{Deadline, Emf, Logs, StreamEvent, StreamProcessor};
use lambda_streams_benches::{Shape, payload, processor};
use tokio::runtime::Runtime;
use tracing::{Dispatch, Level};
use tracing_subscriber::layer::SubscriberExt;

/// How long each column is measured in all.
const TIME_PER_COLUMN: Duration = Duration::from_millis(1_500);
const COLUMNS: [&str; 4] = ["neither", "metrics", "log", "both"];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    if let [column, records, rounds] = &arguments[..]
        && COLUMNS.contains(&column.as_str())
    {
        let stage = Stage::new(records.parse().expect("a number of records"));
        return (0..rounds.parse().expect("a number of rounds")).for_each(|_: u32| stage.run(column));
    }
    let counts: Vec<usize> = arguments.iter().filter_map(|argument| argument.parse().ok()).collect();
    println!("nanoseconds per record, the fastest of interleaved rounds, and what is more than with neither\n");
    println!("{:>8} {:>12} {:>18} {:>18} {:>18}", "records", "neither", "metrics", "log", "both");
    for count in if counts.is_empty() { vec![1, 10, 100, 1_000, 10_000] } else { counts } {
        row(count);
    }
}

fn row(count: usize) {
    let stage = Stage::new(count);
    // With the log first: when `tracing` meets a line for the first time, it asks its subscriber whether it needs that line at all.
    COLUMNS.iter().rev().for_each(|column| stage.run(column));
    let fastest = measure(&stage).map(|time| time.as_nanos() as f64 / count as f64);
    print!("{count:>8} {:>12.0}", fastest[0]);
    for time in &fastest[1..] {
        print!(" {:>9.0} {:>+7.1}%", time, (time / fastest[0] - 1.0) * 100.0);
    }
    println!();
}

fn measure(stage: &Stage) -> [Duration; COLUMNS.len()] {
    let mut fastest = [Duration::MAX; COLUMNS.len()];
    let begun = Instant::now();
    while begun.elapsed() < TIME_PER_COLUMN * COLUMNS.len() as u32 {
        for (fastest, column) in fastest.iter_mut().zip(COLUMNS) {
            let begun = Instant::now();
            stage.run(column);
            *fastest = begun.elapsed().min(*fastest);
        }
    }
    fastest
}

/// The event and what looks on; documents and lines are built in full and thrown away.
struct Stage {
    runtime: Runtime,
    processor: StreamProcessor,
    body: Vec<u8>,
    emf: Emf,
    log: Dispatch,
}

impl Stage {
    fn new(records: usize) -> Self {
        let logs = Logs::from_env().level(Level::INFO).writer(std::io::sink());
        Self {
            runtime: tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime"),
            processor: processor(|builder| builder),
            body: payload(Shape::of(records)),
            emf: Emf::builder().service("bench").writer(std::io::sink()).build().expect("the settings are valid"),
            log: Dispatch::new(tracing_subscriber::registry().with(logs.into_layer())),
        }
    }

    fn run(&self, column: &str) {
        match column {
            "metrics" => self.with_metrics(),
            "log" => tracing::dispatcher::with_default(&self.log, || self.process()),
            "both" => tracing::dispatcher::with_default(&self.log, || self.with_metrics()),
            _ => self.process(),
        }
    }

    fn with_metrics(&self) {
        metrics::with_local_recorder(&self.emf, || self.process());
        self.emf.flush();
    }

    fn process(&self) {
        let event = StreamEvent::from_slice(&self.body).expect("a stream event");
        let report = self.runtime.block_on(self.processor.process(event, Deadline::none()));
        assert!(report.checkpoint().is_none());
    }
}

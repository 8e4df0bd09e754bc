//! What `cargo bench` shows: the throughput of a batch by record count, compared with the same function written by hand.
//!
//! `cargo bench [-- [--fastest] [RECORDS]...]`

use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use lambda_streams_benches::{
    Batch, Column, Command, HELP, Measured, SHOWN, SinkTimes, Stage, Statistic, introduction, render, render_sinks,
};
use rustix::time::{ClockId, clock_gettime};

/// How long each column is timed with each record count.
const TIME_PER_COLUMN: Duration = Duration::from_millis(1_500);
/// At least: asking for the CPU time is a system call, which would show in the time of a single small batch.
const RECORDS_PER_ROUND: usize = 50;

fn main() -> ExitCode {
    match Command::parse(std::env::args().skip(1)) {
        Ok(Command::Help) => print!("{HELP}"),
        // As `cargo test --all-targets` runs it.
        Ok(_) if cfg!(debug_assertions) => println!("nothing is measured without optimization: run `cargo bench`"),
        Ok(Command::Measure { counts, statistic }) => {
            let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
            println!("{}", introduction(cores, statistic));
            let batches: Vec<Batch> = counts.into_iter().map(|records| measure(records, statistic)).collect();
            progress("");
            println!("{}", render(&batches));
            progress("timing sinks ...");
            let sinks = render_sinks(SinkTimes::in_virtual_time(), SinkTimes::over_http());
            progress("");
            print!("{sinks}");
        }
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::from(2);
        }
    }
    ExitCode::SUCCESS
}

fn measure(records: usize, statistic: Statistic) -> Batch {
    progress(&format!("timing batches of {records} ..."));
    let stage = Stage::new(records);
    let times = times(&stage, records, statistic);
    progress(&format!("counting the allocations of batches of {records} ..."));
    let measured = SHOWN.into_iter().zip(times).map(|(column, time)| {
        let (allocations, peak_bytes) = memory(column, records);
        Measured { column, time, allocations, peak_bytes }
    });
    Batch { records, payload_bytes: stage.body(Column::FromBytes).len(), measured: measured.collect() }
}

/// The CPU time that each column takes for a batch. They take turns, so a noisy machine is noisy for all.
fn times(stage: &Stage, records: usize, statistic: Statistic) -> [Duration; SHOWN.len()] {
    let batches = RECORDS_PER_ROUND.div_ceil(records);
    let mut rounds = SHOWN.map(|_| Vec::new());
    let begun = Instant::now();
    while begun.elapsed() < TIME_PER_COLUMN * SHOWN.len() as u32 {
        for (rounds, column) in rounds.iter_mut().zip(SHOWN) {
            let bodies = vec![stage.body(column).to_vec(); batches];
            let begun = cpu_time();
            bodies.into_iter().for_each(|body| stage.run(column, body));
            rounds.push((cpu_time() - begun) / batches as u32);
        }
    }
    rounds.map(|mut rounds| {
        rounds.sort_unstable();
        match statistic {
            Statistic::Median => rounds[rounds.len() / 2],
            Statistic::Fastest => rounds[0],
        }
    })
}

/// The CPU time of this thread so far. It does not pass while other programs have the core.
fn cpu_time() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(now).expect("time since the thread's start is not negative")
}

/// The allocations and the peak of one batch, counted by another program, `counts.rs`.
fn memory(column: Column, records: usize) -> (u64, u64) {
    let counts = std::process::Command::new(env!("CARGO_BIN_EXE_counts"))
        .args([column.name(), &records.to_string()])
        .output()
        .expect("cargo builds `counts` along with this benchmark");
    let printed = String::from_utf8_lossy(&counts.stdout);
    let mut numbers = printed.split_whitespace().map_while(|number| number.parse().ok());
    let mut next = || numbers.next().unwrap_or_else(|| panic!("`counts` failed: {counts:?}"));
    (next(), next())
}

/// Replaces the line on the terminal, if there is one.
fn progress(step: &str) {
    if std::io::stderr().is_terminal() {
        eprint!("\r\x1b[K{step}");
    }
}

//! What `redrive`, `replay` and `backfill` share around a delivery: the flags, the function, Ctrl-C, the progress and the summary.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use clap::Args;
use futures::Stream;
use lambda_streams_local::{Function, FunctionOutput};

use crate::args::{AwsArgs, FunctionArgs};
use crate::aws::Aws;
use crate::deliver::{Delivered, Delivery, Event, Form, FunctionCounts, Limits, Outcome, Parcel, Settled};
use crate::failure::{FAILED, Failure, GOOD};
use crate::function::AnyFunction;
use crate::heard::{Heard, Said};
use crate::signals::Signals;
use crate::ui::{Ui, count, duration};

/// How often the live block is drawn.
const REFRESH: Duration = Duration::from_millis(150);
/// Of more failures, this many are listed in the summary.
const MAX_LISTED: usize = 20;

/// How things are sent, and shown.
#[derive(Debug, Args)]
#[command(next_help_heading = "Sending")]
pub(crate) struct SendingArgs {
    /// List what would be sent, and send nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Records in one invocation
    #[arg(long, value_name = "RECORDS")]
    pub(crate) batch_size: Option<NonZeroUsize>,
    /// Concurrent invocations. Each item keeps its order
    #[arg(long, value_name = "INVOCATIONS", default_value = "1", value_parser = concurrency)]
    pub(crate) concurrency: NonZeroUsize,
    /// How often a record is sent before it counts as failed
    #[arg(long, value_name = "TIMES", default_value = "3", value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) attempts: u32,
    /// Keep in this file what is done, so the same command can continue an interrupted run [default: a file in
    /// ~/.local/state/lambda-streams, named by the command, the source and the function]
    #[arg(long, value_name = "FILE")]
    pub(crate) journal: Option<PathBuf>,
    /// Print lines instead of the live display on a terminal
    #[arg(long)]
    pub(crate) plain: bool,
    /// Print only what went wrong, and the summary
    #[arg(long, short)]
    pub(crate) quiet: bool,
}

impl SendingArgs {
    pub(crate) fn ui(&self, function: &FunctionArgs) -> Arc<Ui> {
        Arc::new(Ui::new(self.plain, self.quiet, function.function_log.is_none()))
    }

    pub(crate) fn limits(&self, default_batch_size: NonZeroUsize, timeout: Duration) -> Limits {
        Limits {
            batch_size: self.batch_size.unwrap_or(default_batch_size),
            concurrency: self.concurrency,
            attempts: self.attempts,
            timeout,
        }
    }
}

/// Lambda itself runs no more of a function at once, unless it is asked to.
fn concurrency(text: &str) -> Result<NonZeroUsize, String> {
    let number = text.parse::<NonZeroUsize>().ok().filter(|number| number.get() <= 1_000);
    number.ok_or_else(|| "expected a number from 1 to 1000".to_owned())
}

/// The function that everything is sent to, and what it has written.
pub(crate) struct Target {
    pub(crate) function: AnyFunction,
    pub(crate) timeout: Duration,
    heard: Arc<Mutex<Heard>>,
}

impl Target {
    /// Starts the program, or looks the deployed function up. `stream_arn` gives a program's ARN its region and account.
    pub(crate) async fn start(
        args: &FunctionArgs,
        aws: &Aws<'_>,
        stream_arn: &str,
        ui: &Arc<Ui>,
        signals: &Signals,
    ) -> Result<Self, Failure> {
        let heard = Arc::new(Mutex::new(Heard::default()));
        let (hear, print) = (Arc::clone(&heard), Arc::clone(ui));
        let on_output = Box::new(move |output: FunctionOutput<'_>| {
            lock(&hear).line(output.line);
            print.function_wrote(output);
        });
        let function = AnyFunction::start(args, aws, stream_arn, signals, on_output).await?;
        let timeout = args.timeout.unwrap_or_else(|| function.default_timeout());
        Ok(Self { function, timeout, heard })
    }

    pub(crate) fn arn(&self) -> String {
        self.function.function_arn()
    }

    /// Why a record failed, as far as the function has written it where it can be read.
    pub(crate) fn why(&self, name: &str) -> Option<String> {
        match lock(&self.heard).of(&[name])? {
            Said::Failed(why) => Some(why),
            Said::Succeeded => None,
        }
    }
}

/// Says where a deployed function's own words on what failed are.
pub(crate) fn print_log_group(target: &Target, tally: &Tally, broken: Option<&str>) {
    if let Some(group) = target.function.log_group().filter(|_| !tally.failed.is_empty() || broken.is_some()) {
        println!("what the function logged about each is in its log group: {group}");
    }
}

/// What tells a function from others in the name of a journal: what is done by one is not done by another, such as that of another account.
pub(crate) fn target_names(function: &FunctionArgs, aws: &AwsArgs) -> Vec<String> {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let program =
        function.bootstrap.as_deref().map(|path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned()));
    let named = [
        ("--function", function.function.clone()),
        ("--bootstrap", program.map(|path| path.display().to_string())),
        ("--profile", aws.profile.clone().or_else(|| variable("AWS_PROFILE"))),
        ("--region", aws.region.clone().or_else(|| variable("AWS_REGION"))),
        ("--endpoint-url", aws.endpoint_url.clone().or_else(|| variable("AWS_ENDPOINT_URL"))),
    ];
    let named = named.into_iter().filter_map(|(flag, value)| Some(format!("{flag}={}", value?)));
    named.chain(function.arguments.iter().map(|argument| argument.display().to_string())).collect()
}

/// The outcomes of everything that was sent.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// How much there is, if that is known.
    pub(crate) total: Option<u64>,
    pub(crate) done: u64,
    /// What failed, each by its name and with the reason.
    pub(crate) failed: Vec<(String, String)>,
    pub(crate) held_back: u64,
    invocations: u64,
    in_flight: u64,
    repeated: u64,
    throttles: u64,
}

impl Tally {
    /// With this total.
    pub(crate) fn of(total: u64) -> Self {
        Self { total: Some(total), ..Self::default() }
    }

    fn settled(&self) -> u64 {
        self.done + self.failed.len() as u64 + self.held_back
    }

    /// How much is neither done nor has failed, if it is known how much there is.
    pub(crate) fn left(&self) -> u64 {
        self.total.map_or(0, |total| total.saturating_sub(self.settled()))
    }

    fn note(&mut self, settled: &[Settled], target: &Target) {
        for Settled { name, outcome, .. } in settled {
            match outcome {
                Outcome::Done => self.done += 1,
                Outcome::HeldBack => self.held_back += 1,
                Outcome::Failed(reason) => {
                    let reason = target.why(name).unwrap_or_else(|| reason.clone());
                    self.failed.push((name.clone(), reason));
                }
            }
        }
    }

    fn render(&self, what: &str, began: Instant, is_draining: bool) -> String {
        let state = if is_draining {
            "draining: press Ctrl-C again to stop at once"
        } else {
            "sending: press Ctrl-C to drain and stop"
        };
        let settled = self.settled();
        let took = began.elapsed();
        let rate = settled as f64 / took.as_secs_f64().max(1e-3);
        let of = self.total.map(|total| format!(" of {total}")).unwrap_or_default();
        let left = self.total.map(|total| total.saturating_sub(settled)).filter(|left| *left > 0 && rate > 0.0);
        let left = left.map(|left| format!(", about {} left", duration(Duration::from_secs_f64(left as f64 / rate))));
        format!(
            "{state}\n  {} {settled}{of} {what}s, {rate:.0}/s{}\n  {} done, {} failed, {} held back\n  invocations {}: {}, {} \
             sent again, {} throttled",
            bar(settled, self.total),
            left.unwrap_or_default(),
            self.done,
            self.failed.len(),
            self.held_back,
            self.invocations,
            if self.in_flight > 0 { format!("{} in flight", self.in_flight) } else { "the next one waits".to_owned() },
            count(usize::try_from(self.repeated).unwrap_or(usize::MAX), what),
            self.throttles,
        )
    }
}

/// A bar of 24 characters; empty where the end is not known.
fn bar(done: u64, total: Option<u64>) -> String {
    const WIDTH: u64 = 24;
    let Some(total) = total.filter(|total| *total > 0) else { return String::new() };
    let full = (done.min(total) * WIDTH / total) as usize;
    format!("[{}{}]", "#".repeat(full), "-".repeat(WIDTH as usize - full))
}

/// Sends everything, shows the progress, and reacts to Ctrl-C. `what` is what a parcel is called: `record` or `dead letter`.
///
/// # Errors
/// As [`Delivery::run`]; also if a second Ctrl-C stops it at once.
pub(crate) async fn send(
    target: &Target,
    (form, limits): (Form, Limits),
    (ui, signals, what): (&Ui, &Signals, &str),
    tally: &Mutex<Tally>,
    parcels: impl Stream<Item = Result<Parcel, Failure>>,
    mut settle: impl AsyncFnMut(&[Settled]) -> Result<(), Failure>,
) -> Result<Delivered, Failure> {
    let began = Instant::now();
    let observe = |event: &Event<'_>| {
        note(&mut lock(tally), event);
        if let Some((line, is_routine)) = event.describe(what) {
            if is_routine { ui.routine(&line) } else { ui.line(&line) }
        }
    };
    let delivery = Delivery { function: &target.function, form, limits, observe: &observe };
    let settled = async |settled: Vec<Settled>| {
        // First, because the function has done it, whatever happens in the place.
        lock(tally).note(&settled, target);
        settle(&settled).await
    };
    let is_draining = std::sync::atomic::AtomicBool::new(false);
    let drain = async {
        signals.reached(1).await;
        is_draining.store(true, std::sync::atomic::Ordering::Relaxed);
        ui.line("interrupted: waiting for the invocations in flight; press Ctrl-C again to stop at once");
    };
    let refresh = async {
        loop {
            let is_draining = is_draining.load(std::sync::atomic::Ordering::Relaxed);
            let text = lock(tally).render(what, began, is_draining);
            ui.show(text);
            tokio::time::sleep(REFRESH).await;
        }
    };
    let ended = tokio::select! {
        biased;
        () = signals.reached(2) => {
            Err(Failure::failed(format!(
                "stopped at once: the invocations in flight are abandoned, and their outcomes are unknown; {} had been done before",
                count(usize::try_from(lock(tally).done).unwrap_or(usize::MAX), what)
            )))
        }
        ended = delivery.run(parcels, settled, drain) => ended,
        () = refresh => unreachable!("it has no end"),
    };
    ui.finish();
    ended
}

fn note(tally: &mut Tally, event: &Event<'_>) {
    match event {
        Event::Sent => {
            tally.invocations += 1;
            tally.in_flight += 1;
        }
        Event::Waiting { records, .. } => tally.repeated += *records as u64,
        Event::Answered { answer, .. } => {
            tally.in_flight = tally.in_flight.saturating_sub(1);
            tally.throttles += u64::from(answer.is_throttled());
        }
    }
}

/// Prints the summary to the standard output: what is done, what failed and why, and what is left. The exit code says whether all is done.
pub(crate) fn conclude(tally: &Tally, delivered: &Delivered, what: &str, where_left: &str) -> ExitCode {
    let (settled, left) = (tally.settled(), tally.left());
    let number = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    println!(
        "{}: {} done, {} failed, {} held back, {left} left",
        count(number(tally.total.unwrap_or(settled)), what),
        tally.done,
        tally.failed.len(),
        tally.held_back
    );
    if let Some(line) = said(&delivered.counts) {
        println!("the function says: {line}");
    }
    for (name, reason) in tally.failed.iter().take(MAX_LISTED) {
        println!("  failed  {name}: {reason}");
    }
    if tally.failed.len() > MAX_LISTED {
        println!("  and {} more that failed", tally.failed.len() - MAX_LISTED);
    }
    if tally.held_back > 0 {
        println!("  held back, because an earlier record of the same item failed: {}", tally.held_back);
    }
    if let Some(reason) = &delivered.broken {
        println!("stopped: the function fails every invocation: {reason}");
    }
    let is_good = tally.failed.is_empty() && tally.held_back == 0 && left == 0 && delivered.broken.is_none();
    let is_good = is_good && !delivered.is_stopped;
    if !is_good {
        println!("{where_left}");
    }
    let given_up = delivered.counts.dead_lettered;
    if given_up > 0 {
        println!(
            "given up by the function: {given_up}, now in its dead-letter queue. `lambda-streams redrive` sends them again"
        );
    }
    ExitCode::from(if is_good { GOOD } else { FAILED })
}

/// What a function of this crate says of the records.
fn said(counts: &FunctionCounts) -> Option<String> {
    if !counts.every_failure_is_listed {
        return None;
    }
    let letters = if counts.dead_lettered == 1 { "dead letter" } else { "dead letters" };
    let all = [
        (counts.succeeded, "succeeded"),
        (counts.skipped, "skipped, as no handler takes them"),
        (counts.already_done, "done already"),
        (counts.stale, "skipped as stale"),
        (counts.dead_lettered, letters),
    ];
    let all: Vec<String> =
        all.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
    (!all.is_empty()).then(|| all.join(", "))
}

fn lock<V>(mutex: &Mutex<V>) -> MutexGuard<'_, V> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_is_as_full_as_the_work_is_done() {
        assert_eq!(bar(0, Some(4)), "[------------------------]");
        assert_eq!(bar(1, Some(4)), "[######------------------]");
        assert_eq!(bar(9, Some(4)), "[########################]");
        assert_eq!([bar(1, None), bar(0, Some(0))], ["", ""]);
    }

    #[test]
    fn a_function_that_says_nothing_is_not_quoted() {
        assert_eq!(said(&FunctionCounts { succeeded: 1, ..FunctionCounts::default() }), None);
        let counts =
            FunctionCounts { every_failure_is_listed: true, succeeded: 2, stale: 1, ..FunctionCounts::default() };
        assert_eq!(said(&counts).unwrap(), "2 succeeded, 1 skipped as stale");
        let counts = FunctionCounts { dead_lettered: 1, ..counts };
        assert_eq!(said(&counts).unwrap(), "2 succeeded, 1 skipped as stale, 1 dead letter");
    }
}

//! `run`: a stream, a mapping, a function.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use lambda_streams_local::{
    BatchAssignment, DeployedMapping, EventSourceMapping, Function, RecordAge, Settings, Source, SourceError,
    StartingPosition, Summary, from_deployed,
};

use crate::args::{self, MappingArgs, RunArgs};
use crate::aws::Aws;
use crate::failure::{FAILED, Failure, GOOD};
use crate::function::AnyFunction;
use crate::on_failure::OnFailure;
use crate::signals::Signals;
use crate::source::AnySource;
use crate::ui::Ui;

/// How often the live block is drawn.
const REFRESH: Duration = Duration::from_millis(150);

pub(crate) async fn run(args: RunArgs) -> Result<ExitCode, Failure> {
    let signals = Signals::listen()?;
    let aws = Aws::new(&args.aws);
    let deployed = interruptible(&signals, deployed(&args.mapping, &aws)).await?;
    let mut settings = settings(&args.mapping, deployed.as_ref());
    settings.validate().map_err(Failure::not_begun)?;
    let arn = deployed.as_ref().map(|deployed| deployed.stream_arn.as_str());
    let source = interruptible(&signals, AnySource::connect(&args.source, arn, &aws)).await?;
    if source.is_files() {
        settings.unspecified.record_age = RecordAge::SinceRead;
    }
    let ui = Arc::new(Ui::new(args.plain, args.quiet, args.function.function_log.is_none()));
    let print = Arc::clone(&ui);
    let print = Box::new(move |output: lambda_streams_local::FunctionOutput<'_>| print.function_wrote(output));
    let function = AnyFunction::start(&args.function, &aws, &source.stream_arn(), &signals, print).await?;
    let function = Arc::new(function);
    let deployed_timeout = match &deployed {
        Some(deployed) if args.function.timeout.is_none() => deployed_timeout(&aws, deployed).await?,
        _ => None,
    };
    let timeout = args.function.timeout.or(deployed_timeout).unwrap_or_else(|| function.default_timeout());
    let on_failure = OnFailure::choose(&args.mapping, &aws, deployed.as_ref()).await?;
    announce(&ui, &source, &function, &settings, timeout, deployed.as_ref());
    if let Some(destination) = on_failure.describe() {
        ui.line(&format!("failures  {destination}"));
    }

    let source = Arc::new(source);
    let observer = Arc::clone(&ui);
    let mut mapping = EventSourceMapping::new(settings, Arc::clone(&source), Arc::clone(&function))
        .map_err(Failure::not_begun)?
        .on_progress(move |progress| observer.progress(progress))
        .function_timeout(timeout);
    if !matches!(on_failure, OnFailure::None) {
        mapping = mapping.on_failure(on_failure);
    }
    if let Some(idle) = args.until_idle {
        mapping = mapping.stop_when_idle(idle);
    }
    let ended = drive(&mapping, &ui, &signals).await;
    function.shutdown().await;
    conclude(ended, &mapping.summary(), &ui, &source, &function)
}

/// How a run ended.
enum Ended {
    ByItself,
    Drained,
    /// A second Ctrl-C.
    Cut,
    Failed(String),
}

async fn drive<S: Source, F: Function>(mapping: &EventSourceMapping<S, F>, ui: &Ui, signals: &Signals) -> Ended {
    let is_draining = AtomicBool::new(false);
    let drain = async {
        signals.reached(1).await;
        is_draining.store(true, Ordering::Relaxed);
        ui.line("interrupted: waiting for the invocations in flight; press Ctrl-C again to stop at once");
    };
    let ended = tokio::select! {
        biased;
        () = signals.reached(2) => Ended::Cut,
        ended = mapping.run(drain) => match ended {
            Err(error) => Ended::Failed(error.to_string()),
            Ok(_) if is_draining.load(Ordering::Relaxed) => Ended::Drained,
            Ok(_) => Ended::ByItself,
        },
        ended = refresh(mapping, ui, &is_draining) => ended,
    };
    ui.finish();
    ended
}

/// Draws the live block until it is dropped.
async fn refresh<S: Source, T: Function>(
    mapping: &EventSourceMapping<S, T>,
    ui: &Ui,
    is_draining: &AtomicBool,
) -> Ended {
    loop {
        ui.refresh(&mapping.summary(), is_draining.load(Ordering::Relaxed));
        tokio::time::sleep(REFRESH).await;
    }
}

/// Prints the summary, and says in the exit code whether anything failed or was lost.
fn conclude(
    ended: Ended,
    summary: &Summary,
    ui: &Ui,
    source: &AnySource,
    function: &AnyFunction,
) -> Result<ExitCode, Failure> {
    println!("{summary}");
    // What a deployed function writes goes to its own log.
    if matches!(function, AnyFunction::Bootstrap(_)) {
        println!("dead letters  {} reported by the function", ui.dead_letters());
    }
    let gaps = source.gaps();
    if gaps > 0 {
        println!("gaps          {gaps}: the stream had trimmed records before they were read");
    }
    match &ended {
        Ended::Drained if source.is_files() => println!("interrupted   what was left was not processed"),
        Ended::Drained => println!("interrupted   what was left is still in the stream"),
        _ => {}
    }
    match ended {
        Ended::Failed(error) => Err(Failure::failed(error)),
        Ended::Cut => Err(Failure::failed("stopped at once: the invocations in flight are abandoned")),
        _ if summary.discarded > 0 || gaps > 0 || !summary.warnings.is_empty() => Ok(ExitCode::from(FAILED)),
        _ => Ok(ExitCode::from(GOOD)),
    }
}

async fn interruptible<T>(signals: &Signals, work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    tokio::select! {
        done = work => done,
        () = signals.reached(1) => Err(Failure::not_begun("interrupted before anything was started")),
    }
}

async fn deployed(args: &MappingArgs, aws: &Aws<'_>) -> Result<Option<DeployedMapping>, Failure> {
    let Some(function) = &args.from_deployed else { return Ok(None) };
    let deployed: Result<_, SourceError> = from_deployed(&aws.lambda().await?, function, args.mapping.as_deref()).await;
    deployed.map(Some).map_err(Failure::not_begun)
}

async fn deployed_timeout(aws: &Aws<'_>, deployed: &DeployedMapping) -> Result<Option<Duration>, Failure> {
    let Some(arn) = &deployed.function_arn else { return Ok(None) };
    let function = lambda_streams_local::DeployedFunction::connect(aws.lambda().await?, arn).await;
    function.map(|function| Some(function.timeout())).map_err(Failure::not_begun)
}

/// The deployed settings or AWS's defaults, and before them the flags.
fn settings(args: &MappingArgs, deployed: Option<&DeployedMapping>) -> Settings {
    let default = Settings { report_batch_item_failures: true, ..Settings::default() };
    let mut settings = deployed.map_or(default, |deployed| deployed.settings.clone());
    fn set<V: Copy>(setting: &mut V, flag: Option<V>) {
        *setting = flag.unwrap_or(*setting);
    }
    set(&mut settings.batch_size, args.batch_size);
    set(&mut settings.maximum_batching_window_in_seconds, args.maximum_batching_window);
    set(&mut settings.parallelization_factor, args.parallelization_factor);
    set(&mut settings.bisect_batch_on_function_error, args.bisect_batch_on_function_error);
    set(&mut settings.maximum_retry_attempts, args.maximum_retry_attempts);
    set(&mut settings.maximum_record_age_in_seconds, args.maximum_record_age);
    set(&mut settings.report_batch_item_failures, args.report_batch_item_failures);
    set(&mut settings.tumbling_window_in_seconds, args.tumbling_window);
    let position = args.starting_position.map(|position| match position {
        args::StartingPosition::TrimHorizon => StartingPosition::TrimHorizon,
        args::StartingPosition::Latest => StartingPosition::Latest,
    });
    set(&mut settings.starting_position, position);
    set(&mut settings.unspecified.retry_max_delay, args.retry_max_delay);
    set(&mut settings.unspecified.window_grace, args.window_grace);
    if !args.filter.is_empty() {
        settings.filter_patterns.clone_from(&args.filter);
    }
    if args.on_failure.is_some() {
        // A bucket is the destination that gets the records as well.
        settings.on_failure = Some("arn:aws:s3:::local".to_owned());
    }
    settings.unspecified.halves_inherit_retries |= args.halves_inherit_retries;
    if args.scramble {
        settings.unspecified.batch_assignment = BatchAssignment::Random;
        settings.unspecified.seed = seed_of_now();
    }
    settings
}

/// Another order in each run.
fn seed_of_now() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    now.as_nanos() as u64
}

/// What is about to run with what.
fn announce(
    ui: &Ui,
    source: &AnySource,
    function: &AnyFunction,
    settings: &Settings,
    timeout: Duration,
    deployed: Option<&DeployedMapping>,
) {
    let view = source.view_type().map(|view| format!(" ({view})")).unwrap_or_default();
    ui.line(&format!("source    {}{view}", source.stream_arn()));
    ui.line(&format!("function  {}, timeout {} s", function.function_arn(), timeout.as_secs_f64()));
    let report = if settings.report_batch_item_failures { "on" } else { "OFF: reported failures are ignored" };
    ui.line(&format!(
        "mapping   batches of {}, {} at once, retries {}, record age {}, bisect {}, ReportBatchItemFailures {report}",
        settings.batch_size,
        settings.parallelization_factor,
        unlimited(settings.maximum_retry_attempts, ""),
        unlimited(settings.maximum_record_age_in_seconds, " s"),
        if settings.bisect_batch_on_function_error { "on" } else { "off" },
    ));
    let is_enabled = deployed.is_some_and(|deployed| deployed.state.as_deref() == Some("Enabled"));
    if let (true, Some(deployed)) = (is_enabled, deployed) {
        let uuid = &deployed.uuid;
        ui.print(&format!(
            "note: the deployed mapping {uuid} is enabled, so the deployed function processes these records as well"
        ));
    }
}

fn unlimited(value: i32, unit: &str) -> String {
    if value < 0 { "without limit".to_owned() } else { format!("{value}{unit}") }
}

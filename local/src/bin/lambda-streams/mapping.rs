//! `--pause-mapping`: the live event source mapping is disabled while a command sends records, and enabled again.
//!
//! *Invariant*: the journal has the mapping before it is disabled, until it is enabled again. So only a mapping that this work has
//! disabled is ever enabled, also after a run that was killed.

use std::time::{Duration, SystemTime};

use aws_sdk_lambda::Client;
use aws_sdk_lambda::error::ProvideErrorMetadata;
use aws_sdk_lambda::operation::get_event_source_mapping::GetEventSourceMappingOutput;
use clap::Args;
use lambda_streams_local::from_deployed;
use tokio::time::Instant;

use crate::failure::Failure;
use crate::journal::Journal;
use crate::signals::Signals;
use crate::table::{calls, table_arn};
use crate::ui::duration;

/// How long a stream keeps a record.
const RETENTION: Duration = Duration::from_secs(24 * 60 * 60);
/// How long Lambda may take to disable a mapping. It says "about a minute".
const LIMIT: Duration = Duration::from_secs(10 * 60);
/// The first wait for a state; each further one is twice as long, up to [`LONGEST_POLL`].
const FIRST_POLL: Duration = Duration::from_millis(100);
const LONGEST_POLL: Duration = Duration::from_secs(5);
/// Where the journal has the mapping.
const NOTE: &str = "paused mapping";

#[derive(Debug, Args)]
#[command(next_help_heading = "The live event source mapping")]
pub(crate) struct PauseArgs {
    /// Disable the function's event source mapping of this stream during the run, and enable it again however the run ends. New
    /// records wait in the stream, which keeps them for 24 hours. If the run is killed, the next run of the same command enables
    /// the mapping. Needs lambda:ListEventSourceMappings, lambda:GetEventSourceMapping and lambda:UpdateEventSourceMapping
    #[arg(long)]
    pub(crate) pause_mapping: bool,
    /// The id of the mapping, if the function has several for this stream or is not deployed. It is the mapping that
    /// --pause-mapping disables, and the one whose filters a replay applies
    #[arg(long, value_name = "UUID")]
    pub(crate) mapping: Option<String>,
}

/// A mapping that is disabled, and has to be enabled again by [`Pause::end`].
#[must_use = "the mapping stays disabled until `end` is called"]
pub(crate) struct Pause {
    client: Client,
    uuid: String,
    /// How long records may wait.
    may_wait: Duration,
    since: Instant,
}

impl Pause {
    /// Disables the mapping of the function and the stream, and waits until Lambda says that it is.
    ///
    /// # Errors
    /// If there is no such mapping or there are several; if somebody else has disabled it; if a call is denied; if Ctrl-C comes.
    /// It is not disabled then.
    pub(crate) async fn begin(
        args: &PauseArgs,
        client: Client,
        function: Option<&str>,
        stream_arn: &str,
        journal: &mut Journal,
        signals: &Signals,
        say: impl Fn(&str),
    ) -> Result<Self, Failure> {
        let (uuid, may_wait, _) = locate(args, &client, function, stream_arn).await?;
        let is_ours = left_paused(journal).is_some_and(|paused| paused == uuid);
        let pause = Self { client, uuid, may_wait, since: Instant::now() };
        match settled(&pause.client, &pause.uuid).await?.as_str() {
            "Disabled" if is_ours => {
                say(&format!("mapping   {} was disabled by an earlier run of this command", pause.uuid))
            }
            "Enabled" => pause.disable(journal, signals, &say).await?,
            state => return Err(refusal(&pause.uuid, state)),
        }
        say(&pause.describe());
        Ok(pause)
    }

    async fn disable(&self, journal: &mut Journal, signals: &Signals, say: &impl Fn(&str)) -> Result<(), Failure> {
        journal.note(NOTE, &self.uuid)?;
        say(&format!("mapping   disabling {}", self.uuid));
        let disabled = async {
            update(&self.client, &self.uuid, false).await.map_err(Failure::not_begun)?;
            self.wait_until_disabled().await
        };
        let disabled = tokio::select! {
            disabled = disabled => disabled,
            () = signals.reached(1) => Err(Failure::not_begun("interrupted while the mapping was being disabled")),
        };
        let Err(failure) = disabled else { return Ok(()) };
        // It is not known how far Lambda has got.
        match enable(&self.client, &self.uuid, journal).await {
            Ok(()) => Err(failure),
            Err(still) => Err(Failure::not_begun(format!("{failure}; {still}"))),
        }
    }

    async fn wait_until_disabled(&self) -> Result<(), Failure> {
        match tokio::time::timeout(LIMIT, settled(&self.client, &self.uuid)).await {
            Ok(Ok(state)) if state == "Disabled" => Ok(()),
            Ok(Ok(state)) => Err(Failure::not_begun(format!("the mapping {} is {state} again", self.uuid))),
            Ok(Err(failure)) => Err(failure),
            Err(_) => Err(Failure::not_begun(format!("the mapping {} was not disabled in time", self.uuid))),
        }
    }

    /// How long the records may wait, and until when.
    fn describe(&self) -> String {
        let until = humantime::format_rfc3339_seconds(SystemTime::now() + self.may_wait);
        let why = match self.may_wait {
            RETENTION => "the stream keeps a record for 24 hours",
            _ => "it discards records that are older (MaximumRecordAgeInSeconds)",
        };
        format!(
            "mapping   {} is disabled: its records wait for at most {}, until {until}, because {why}. They wait less long \
             if the mapping was lagging",
            self.uuid,
            duration(self.may_wait)
        )
    }

    /// Is ready with a warning when three quarters of the time have passed.
    pub(crate) async fn nearly_over(&self) -> String {
        tokio::time::sleep_until(self.since + self.may_wait.mul_f64(0.75)).await;
        format!(
            "warning: the mapping {} has been disabled for {}: records are lost after {}. Press Ctrl-C to end this run and \
             enable the mapping",
            self.uuid,
            duration(self.since.elapsed()),
            duration(self.may_wait)
        )
    }

    /// Enables the mapping again. Call it however the work has ended.
    ///
    /// # Errors
    /// If it cannot be enabled; the error says how to do that by hand.
    pub(crate) async fn end(self, journal: &mut Journal, say: impl Fn(&str)) -> Result<(), Failure> {
        enable(&self.client, &self.uuid, journal).await?;
        say(&format!(
            "mapping   {} is enabled again after {}: it continues where it stopped",
            self.uuid,
            duration(self.since.elapsed())
        ));
        Ok(())
    }
}

/// Says what [`Pause::begin`] would do, and does nothing.
///
/// # Errors
/// Those of [`Pause::begin`] that can be foreseen.
pub(crate) async fn look(
    args: &PauseArgs,
    client: &Client,
    function: Option<&str>,
    stream_arn: &str,
    journal: &Journal,
) -> Result<String, Failure> {
    let (uuid, may_wait, state) = locate(args, client, function, stream_arn).await?;
    let is_ours = left_paused(journal).is_some_and(|paused| paused == uuid);
    match state.as_str() {
        "Disabled" if is_ours => {
            Ok(format!("{uuid} was disabled by an earlier run of this command: a run would enable it at the end"))
        }
        "Enabled" => Ok(format!(
            "{uuid} is enabled: a run would disable it, and its records would wait for at most {}",
            duration(may_wait)
        )),
        "Creating" | "Enabling" | "Disabling" | "Updating" => Ok(format!(
            "{uuid} is {state}: a run would wait until that has ended, and stop if the mapping is then disabled"
        )),
        state => Err(refusal(&uuid, state)),
    }
}

/// The mapping that is to be paused, how long its records may wait, and its state.
async fn locate(
    args: &PauseArgs,
    client: &Client,
    function: Option<&str>,
    stream_arn: &str,
) -> Result<(String, Duration, String), Failure> {
    let uuid = match (&args.mapping, function) {
        (Some(uuid), _) => uuid.clone(),
        (None, Some(function)) => find(client, function, stream_arn).await?,
        (None, None) => {
            return Err(Failure::not_begun(
                "say which mapping to pause: use --mapping, because the function is not deployed",
            ));
        }
    };
    let deployed = from_deployed(client, function.unwrap_or_default(), Some(&uuid)).await;
    let deployed = deployed.map_err(Failure::not_begun)?;
    if table_arn(&deployed.stream_arn) != table_arn(stream_arn) {
        let message = format!("the mapping {uuid} reads another stream: {}", deployed.stream_arn);
        return Err(Failure::not_begun(message));
    }
    // A mapping that discards old records does so with those that have waited.
    let may_wait = match u64::try_from(deployed.settings.maximum_record_age_in_seconds) {
        Ok(seconds) => RETENTION.min(Duration::from_secs(seconds)),
        Err(_) => RETENTION,
    };
    Ok((uuid, may_wait, deployed.state.unwrap_or_default()))
}

/// Why a mapping in this state is not paused.
fn refusal(uuid: &str, state: &str) -> Failure {
    match state {
        "Disabled" => Failure::not_begun(format!(
            "the mapping {uuid} is already disabled, and not by this command, so it would not be right to enable it at the \
             end. To send while it is disabled, leave out --pause-mapping"
        )),
        state => Failure::not_begun(format!("the mapping {uuid} is {state}: it cannot be paused")),
    }
}

/// The mapping that an earlier run of this work has disabled and not enabled again.
pub(crate) fn left_paused(journal: &Journal) -> Option<String> {
    journal.value(NOTE).filter(|uuid| !uuid.is_empty()).map(str::to_owned)
}

/// Enables a mapping that the journal says this work has disabled.
///
/// # Errors
/// If it cannot be enabled; the error says how to do that by hand.
pub(crate) async fn enable(client: &Client, uuid: &str, journal: &mut Journal) -> Result<(), Failure> {
    match update(client, uuid, true).await {
        Ok(()) => journal.note(NOTE, ""),
        Err(why) => Err(Failure::failed(format!(
            "the mapping {uuid} is STILL DISABLED: {why}. Enable it: aws lambda update-event-source-mapping --uuid {uuid} --enabled"
        ))),
    }
}

/// Asks for it, again for as long as an earlier change of the mapping is in flight.
async fn update(client: &Client, uuid: &str, is_enabled: bool) -> Result<(), String> {
    let (began, mut poll) = (Instant::now(), FIRST_POLL);
    loop {
        let call = async || client.update_event_source_mapping().uuid(uuid).enabled(is_enabled).send().await;
        let Err(error) = calls::patiently(call).await else { return Ok(()) };
        let code = error.as_service_error().and_then(ProvideErrorMetadata::code).unwrap_or_default();
        let is_in_use = matches!(code, "ResourceInUseException" | "ResourceConflictException");
        if !is_in_use || began.elapsed() > LIMIT {
            let what = format!("event source mapping {uuid}");
            return Err(calls::explain(&what, "lambda:UpdateEventSourceMapping", &error));
        }
        tokio::time::sleep(poll).await;
        poll = LONGEST_POLL.min(poll * 2);
    }
}

/// The function's one mapping of the stream, or of the table's stream, where the ARN is a table's.
async fn find(client: &Client, function: &str, stream_arn: &str) -> Result<String, Failure> {
    let stream = Some(stream_arn).filter(|arn| arn.contains("/stream/"));
    let mut found = Vec::new();
    let mut marker = None;
    loop {
        let call = async || {
            let request = client.list_event_source_mappings().function_name(function);
            request.set_event_source_arn(stream.map(str::to_owned)).set_marker(marker.clone()).send().await
        };
        let page = calls::patiently(call).await.map_err(|error| {
            let what = format!("function `{function}`");
            Failure::not_begun(calls::explain(&what, "lambda:ListEventSourceMappings", &error))
        })?;
        let is_of_stream = |arn: Option<&str>| match stream {
            Some(stream) => arn == Some(stream),
            None => arn.is_some_and(|arn| arn.contains("/stream/") && table_arn(arn) == table_arn(stream_arn)),
        };
        let mappings = page.event_source_mappings.unwrap_or_default().into_iter();
        found.extend(
            mappings.filter(|mapping| is_of_stream(mapping.event_source_arn())).filter_map(|mapping| mapping.uuid),
        );
        let next = page.next_marker.filter(|next| !next.is_empty());
        // An endpoint that repeats a page would never end.
        if next.is_none() || next == marker {
            break;
        }
        marker = next;
    }
    match found.as_slice() {
        [uuid] => Ok(uuid.clone()),
        [] => Err(Failure::not_begun(format!(
            "function `{function}` has no event source mapping with {stream_arn}: leave out --pause-mapping, or name the \
             mapping with --mapping"
        ))),
        several => {
            let list = several.join(", ");
            Err(Failure::not_begun(format!(
                "function `{function}` has {} event source mappings with {stream_arn}. Choose one with --mapping: {list}",
                several.len()
            )))
        }
    }
}

/// The mapping's state, once it is not on its way to another.
async fn settled(client: &Client, uuid: &str) -> Result<String, Failure> {
    let mut poll = FIRST_POLL;
    loop {
        let call = async || client.get_event_source_mapping().uuid(uuid).send().await;
        let mapping: GetEventSourceMappingOutput = calls::patiently(call).await.map_err(|error| {
            let what = format!("event source mapping {uuid}");
            Failure::not_begun(calls::explain(&what, "lambda:GetEventSourceMapping", &error))
        })?;
        let state = mapping.state.unwrap_or_default();
        if !matches!(state.as_str(), "Creating" | "Enabling" | "Disabling" | "Updating") {
            return Ok(state);
        }
        tokio::time::sleep(poll).await;
        poll = LONGEST_POLL.min(poll * 2);
    }
}

//! The letters of a queue: what the run needs is found before anything is received.

use std::process::ExitCode;
use std::time::SystemTime;

use super::hold::Hold;
use super::listing::list;
use super::round::Receiver;
use super::run::Run;
use super::{RedriveArgs, only_of};
use crate::aws::Aws;
use crate::failure::Failure;
use crate::function;
use crate::places::sqs::{self, Queue, QueueState};
use crate::sending::Target;
use crate::signals::Signals;
use crate::ui::{Ui, count};

/// Who has the messages that are in flight.
pub(super) const ELSEWHERE: &str = "another consumer has them, or had them when it was killed";

pub(super) async fn redrive(args: &RedriveArgs, queue: &str, signals: &Signals) -> Result<ExitCode, Failure> {
    let aws = Aws::near(&args.aws, sqs::near(queue));
    let (queue, state) = tokio::select! {
        found = find(queue, &aws) => found?,
        () = signals.reached(1) => return Err(Failure::not_begun("interrupted before anything was started")),
    };
    let ui = args.sending.ui(&args.function);
    announce(&ui, &queue, state.as_ref());
    let hold = Hold::new(&queue, args.visibility());
    let expected = state.as_ref().map_or(0, |state| state.visible);
    let began = state.as_ref().map_or_else(SystemTime::now, |state| state.now);
    let receiver =
        Receiver { queue: &queue, hold: &hold, visibility: args.visibility(), began, expected, only_of: only_of(args) };
    if args.sending.dry_run {
        function::look_up(&args.function, &aws).await?;
        return list(&receiver, &hold, state.as_ref(), signals, &ui).await;
    }
    let target = Target::start(&args.function, &aws, &queue.arn(), &ui, signals).await?;
    let mut run = Run::new(args, &hold, &ui, signals);
    let ended = run.rounds(&receiver, &target).await;
    let is_released = tokio::select! {
        biased;
        // Nothing waits for the queue after this.
        () = signals.reached(2) => false,
        () = hold.release(&ui) => true,
    };
    target.function.shutdown().await;
    ui.finish();
    if !is_released {
        run.note(format!("the messages that were received become visible {}", hold.until()));
    }
    if let Some(in_flight) = state.map(|state| state.in_flight).filter(|in_flight| *in_flight > 0) {
        let messages = count(usize::try_from(in_flight).unwrap_or(usize::MAX), "message");
        run.note(format!("about {messages} were in flight when this run began: {ELSEWHERE}"));
    }
    run.conclude(ended, &queue, &target)
}

/// The queue, and what it says of itself, where that is allowed.
async fn find(queue: &str, aws: &Aws<'_>) -> Result<(Queue, Option<QueueState>), Failure> {
    let queue = Queue::resolve(queue, aws).await?;
    match queue.state().await {
        Ok(state) => Ok((queue, Some(state))),
        Err(error) if error.is_access_denied() => Ok((queue, None)),
        Err(error) => Err(Failure::not_begun(error)),
    }
}

fn announce(ui: &Ui, queue: &Queue, state: Option<&QueueState>) {
    let Some(state) = state else {
        ui.line(&format!("queue     {}, which does not say how many messages it has", queue.url()));
        return;
    };
    ui.line(&format!("queue     {}: about {} messages, and {} in flight", queue.url(), state.visible, state.in_flight));
    if let Some(times) = state.max_receive_count {
        ui.print(&format!(
            "note: this queue moves a message to its own dead-letter queue after {}. Each run counts as one",
            count(usize::try_from(times).unwrap_or(usize::MAX), "receive")
        ));
    }
}

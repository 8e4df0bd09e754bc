//! `--dry-run`: what would be sent, and the messages visible again.

use std::process::ExitCode;

use super::copies::Copies;
use super::hold::Hold;
use super::queue::ELSEWHERE;
use super::report::{self, Left};
use super::round::Receiver;
use crate::failure::{FAILED, Failure, GOOD};
use crate::places::sqs::QueueState;
use crate::signals::Signals;
use crate::ui::{Ui, count};

/// Lists what would be sent.
pub(super) async fn list(
    receiver: &Receiver<'_>,
    hold: &Hold<'_>,
    state: Option<&QueueState>,
    signals: &Signals,
    ui: &Ui,
) -> Result<ExitCode, Failure> {
    let mut left = Left::default();
    let received = tokio::select! {
        biased;
        () = signals.reached(2) => return Err(receiver.stopped()),
        received = async {
            tokio::select! {
                received = receiver.receive(0, &mut left, (signals, ui)) => received,
                never = hold.extend(ui) => never,
            }
        } => received,
    };
    hold.release(ui).await;
    ui.finish();
    let mut round = received.map_err(Failure::not_begun)?;
    let mut copies = Copies::default();
    round.letters.retain(|letter| !copies.add(letter, letter.message_id.clone()));
    report::print_letters(round.letters.iter());
    report::print_copies(copies.len());
    left.print();
    let known = state.map_or(0, |state| state.visible);
    if known > round.received as u64 {
        let more = if receiver.queue.is_fifo() {
            "a FIFO queue gives the later letters of an item after the earlier ones"
        } else {
            "the others were not received"
        };
        println!("the queue has about {known} messages: {more}");
    }
    let in_flight = state.map_or(0, |state| state.in_flight);
    if in_flight > 0 {
        let messages = count(usize::try_from(in_flight).unwrap_or(usize::MAX), "message");
        println!("about {messages} were in flight when this run began: {ELSEWHERE}");
    }
    match round.received {
        0 => println!("nothing was received, and nothing was sent"),
        _ => println!("nothing was sent, and the messages are visible again; each counts one more receive"),
    }
    Ok(ExitCode::from(if left.is_empty() { GOOD } else { FAILED }))
}

//! `--dry-run`: what would be sent, and the messages visible again.

use std::process::ExitCode;

use super::hold::Hold;
use super::report::{self, Left};
use super::round::Receiver;
use crate::failure::{Failure, GOOD};
use crate::places::sqs::QueueState;
use crate::signals::Signals;
use crate::ui::Ui;

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
    let round = received.map_err(Failure::not_begun)?;
    report::print_letters(round.letters.iter());
    left.print();
    let known = state.map_or(0, |state| state.visible);
    if known > round.received as u64 {
        let more = if receiver.queue.is_fifo() {
            "a FIFO queue gives the later letters of an item after the earlier ones"
        } else {
            "the rest was not looked at"
        };
        println!("the queue has about {known} messages: {more}");
    }
    println!("nothing was sent, and the messages are visible again; each of them counts one receive more");
    Ok(ExitCode::from(GOOD))
}

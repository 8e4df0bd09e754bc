//! What is replayed is late. Where items have changed since, somebody has to say what to do with their records.

use std::io::{BufRead, IsTerminal, Write};

use crate::deliver::Stale;
use crate::failure::Failure;
use crate::table::compare::{Comparison, Currency};

use super::args::LateArgs;
use super::plan::Plan;

/// What is done about late records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Late {
    /// Everything is sent.
    Send,
    /// Everything is sent, and the function is told what to do with records that are stale by its marks.
    Tell(Stale),
    /// Images that are no longer current are skipped, just before they would be sent.
    Compare,
}

impl Late {
    /// What the flags say; `None` if they say nothing.
    pub(super) fn of(args: &LateArgs) -> Option<Self> {
        match args.stale {
            Some(stale) => Some(Self::Tell(stale)),
            None => args.compare_with_table.then_some(Self::Compare),
        }
    }

    pub(super) fn stale(self) -> Option<Stale> {
        match self {
            Self::Tell(stale) => Some(stale),
            Self::Send | Self::Compare => None,
        }
    }
}

/// What the table says of the items of a replay.
#[derive(Debug, Default)]
pub(super) struct Moved {
    pub(super) items: usize,
    /// Items whose last record here is not what the table holds.
    pub(super) moved_on: usize,
    /// Some of those records.
    pub(super) examples: Vec<String>,
    /// Items whose last record has no image to compare.
    pub(super) unknown: usize,
    /// Why the table could not be asked.
    pub(super) unasked: Option<String>,
}

impl Moved {
    /// Compares the last record of each item with the table.
    pub(super) async fn ask(plan: &Plan, comparison: Result<&Comparison, &Failure>) -> Self {
        let last = plan.last_of_items();
        let mut moved = Self { items: last.len(), ..Self::default() };
        let records: Vec<&str> = last.iter().map(|entry| entry.record.json()).collect();
        let compared = match comparison {
            Ok(comparison) => comparison.of(&records).await.map_err(|failure| failure.to_string()),
            Err(failure) => Err(failure.to_string()),
        };
        match compared {
            Ok(currencies) => {
                let count = |wanted| currencies.iter().filter(|currency| **currency == wanted).count();
                (moved.moved_on, moved.unknown) = (count(Currency::MovedOn), count(Currency::Unknown));
                let moved_on = last.iter().zip(&currencies).filter(|(_, currency)| **currency == Currency::MovedOn);
                moved.examples = moved_on.take(MAX_EXAMPLES).map(|(entry, _)| entry.name.clone()).collect();
            }
            Err(why) => moved.unasked = Some(why),
        }
        moved
    }

    /// Whether every item is as its last record here says.
    pub(super) fn is_none(&self) -> bool {
        self.unasked.is_none() && self.moved_on == 0 && self.unknown == 0
    }

    /// The sequence numbers of some records whose items have changed since.
    pub(super) fn such_as(&self) -> Option<String> {
        (!self.examples.is_empty()).then(|| format!("such as that of {}", self.examples.join(", ")))
    }

    pub(super) fn describe(&self) -> String {
        let of = format!("of {}", crate::ui::count(self.items, "item"));
        match &self.unasked {
            Some(why) => format!("it is unknown whether items have changed since: {why}"),
            None if self.is_none() => format!("none {of} has changed since"),
            None if self.unknown == 0 => format!("{} {of} have changed since", self.moved_on),
            None => format!(
                "{} {of} have changed since; for {} it is unknown, because their records have no images",
                self.moved_on, self.unknown
            ),
        }
    }
}

/// Of more records, this many are named.
const MAX_EXAMPLES: usize = 5;
const QUESTION: &str = "\
  p  send all records: right for handlers that count, or whose sink compares versions
  s  skip records whose items are no longer as they say: right for a projection of the latest state
  q  quit: nothing is sent
";
const CHOICES: &str = "say what to do with them: --stale process sends them anyway (right for handlers that count or that compare \
                       versions), --stale skip lets the function skip what its marks say is stale, --compare-with-table skips images that \
                       are no longer current";

/// Asks a person at a terminal, who has just read what has changed; otherwise the error names the choices.
///
/// # Errors
/// If there is no terminal to ask on, or the answer is to quit.
pub(super) async fn ask(moved: &Moved, reads_stdin: bool) -> Result<Late, Failure> {
    if reads_stdin || !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return Err(Failure::not_begun(format!("{}; {CHOICES}", moved.describe())));
    }
    let (answer, answered) = tokio::sync::oneshot::channel();
    // Reading a terminal blocks, and Ctrl-C must be heard meanwhile. The thread ends with the process.
    std::thread::spawn(move || answer.send(read_answer()));
    answered.await.unwrap_or_else(|_| Err(Failure::not_begun("nothing was sent")))
}

fn read_answer() -> Result<Late, Failure> {
    loop {
        // Not locked: the command may have to say something else meanwhile.
        let mut stderr = std::io::stderr();
        // A terminal that is gone gives no answer below.
        let _ = write!(stderr, "{QUESTION}p, s or q? ");
        let _ = stderr.flush();
        let mut answer = String::new();
        let read = std::io::stdin().lock().read_line(&mut answer).unwrap_or(0);
        match (read, answer.trim()) {
            (_, "p" | "process") => return Ok(Late::Send),
            (_, "s" | "skip") => return Ok(Late::Compare),
            (0, _) | (_, "q" | "quit") => return Err(Failure::not_begun("nothing was sent")),
            _ => {}
        }
    }
}

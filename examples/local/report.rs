//! The outcomes of the records, as a table.

use std::fmt::Write;
use std::time::Duration;

use lambda_streams::{BatchReport, EventKind, Outcome};

use crate::order::BatchResult;

/// The records of one kind, by outcome.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Row {
    received: usize,
    succeeded: usize,
    skipped: usize,
    dead_lettered: usize,
    reported: usize,
}

impl Row {
    pub(crate) fn dead_lettered(&self) -> usize {
        self.dead_lettered
    }
}

/// Counts over all batches.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// INSERT, MODIFY, REMOVE, and what could not be read.
    rows: [Row; 4],
}

impl Tally {
    pub(crate) fn add(&mut self, report: &BatchReport) {
        for record in report.records() {
            let row = match record.kind {
                Some(EventKind::Insert) => &mut self.rows[0],
                Some(EventKind::Modify) => &mut self.rows[1],
                Some(EventKind::Remove) => &mut self.rows[2],
                _ => &mut self.rows[3],
            };
            row.received += 1;
            match record.outcome {
                Outcome::Succeeded => row.succeeded += 1,
                Outcome::Skipped(_) => row.skipped += 1,
                Outcome::DeadLettered => row.dead_lettered += 1,
                _ => row.reported += 1,
            }
        }
    }

    pub(crate) fn total(&self) -> Row {
        self.rows.iter().fold(Row::default(), |sum, row| Row {
            received: sum.received + row.received,
            succeeded: sum.succeeded + row.succeeded,
            skipped: sum.skipped + row.skipped,
            dead_lettered: sum.dead_lettered + row.dead_lettered,
            reported: sum.reported + row.reported,
        })
    }
}

/// The end of a run.
#[derive(Debug)]
pub(crate) struct Summary {
    pub(crate) tally: Tally,
    pub(crate) verdict: BatchResult,
    pub(crate) dead_letters: String,
    pub(crate) first_error: Option<String>,
    pub(crate) batches: usize,
    pub(crate) duration: Duration,
}

impl Summary {
    /// Whether every record was processed, each item's in order.
    pub(crate) fn is_good(&self) -> bool {
        let total = self.tally.total();
        self.verdict.disorder == 0 && self.verdict.handled == total.succeeded && total.reported == 0
    }

    /// The table and the lines below it.
    pub(crate) fn render(&self) -> String {
        let total = self.tally.total();
        let mut text = row("", &["received", "succeeded", "skipped", "dead letters", "reported"]);
        let names = ["INSERT", "MODIFY", "REMOVE", "unreadable"];
        let kinds = names.into_iter().zip(self.tally.rows).filter(|(_, row)| row.received > 0);
        for (name, Row { received, succeeded, skipped, dead_lettered, reported }) in kinds.chain([("total", total)]) {
            text += &row(name, &[received, succeeded, skipped, dead_lettered, reported].map(thousands));
        }
        let BatchResult { items, handled, disorder } = &self.verdict;
        let order = match disorder {
            0 => format!(
                "kept: {} changes of {} items, each begun after its predecessor",
                thousands(*handled),
                thousands(*items)
            ),
            _ => {
                format!("BROKEN: {} times a change began before its predecessor had finished", thousands(*disorder))
            }
        };
        let rate = total.received as f64 / self.duration.as_secs_f64().max(f64::EPSILON);
        let rate = format!(
            "{} ({} records in {} batches, {:.3} s)",
            thousands(rate as usize),
            thousands(total.received),
            self.batches,
            self.duration.as_secs_f64()
        );
        let first_error = self.first_error.as_deref().unwrap_or("none");
        let lines = [
            ("order per item", order.as_str()),
            ("dead letters", self.dead_letters.as_str()),
            ("first error", first_error),
            ("records per second", rate.as_str()),
        ];
        for (name, value) in lines {
            let _ = write!(text, "\n{name:<20}{value}");
        }
        text + "\n"
    }
}

fn row(name: &str, cells: &[impl AsRef<str>; 5]) -> String {
    let cells: String = cells.iter().map(|cell| format!("{:>14}", cell.as_ref())).collect();
    format!("{name:<12}{cells}\n")
}

/// The number with a comma after each three digits.
fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
    groups.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        let grouped = [0, 999, 1_000, 1_234_567].map(thousands);
        assert_eq!(grouped, ["0", "999", "1,000", "1,234,567"]);
    }
}

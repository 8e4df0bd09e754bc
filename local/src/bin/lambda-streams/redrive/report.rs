//! Reports on dead letters: a list before they are sent, and the outcomes of those that stay.

use std::collections::BTreeMap;
use std::time::SystemTime;

use lambda_streams::{EventKind, SequenceNumber};

use super::letter::Letter;
use crate::ui::count;

/// Of more messages, this many are listed.
const MAX_LISTED: usize = 20;

/// What is left where it is without having been sent.
#[derive(Debug, Default)]
pub(super) struct Left {
    /// What is not a dead letter, by message and with the reason.
    pub(super) others: Vec<(String, String)>,
    /// How many letters another function wrote, by its name.
    pub(super) of_functions: BTreeMap<String, usize>,
    /// Letters that are done and could not be deleted, with the reason.
    pub(super) undeleted: Vec<(String, String)>,
    /// Letters whose time ran out before they could be sent.
    pub(super) expired: usize,
    /// What else keeps the queue from being done.
    pub(super) notes: Vec<String>,
}

impl Left {
    pub(super) fn is_empty(&self) -> bool {
        let is_whole = self.others.is_empty() && self.of_functions.is_empty() && self.undeleted.is_empty();
        is_whole && self.expired == 0 && self.notes.is_empty()
    }

    pub(super) fn print(&self) {
        print_list("not dead letters, left where they are", &self.others);
        for (function, number) in &self.of_functions {
            let letters = count(*number, "letter");
            println!("{letters} of another function, {function}: left where they are. --any-function sends them too");
        }
        print_list("done and still in the queue", &self.undeleted);
        if self.expired > 0 {
            let messages = count(self.expired, "message");
            println!("{messages} became visible before they could be sent: use a longer --visibility");
        }
        self.notes.iter().for_each(|note| println!("{note}"));
    }
}

fn print_list(what: &str, list: &[(String, String)]) {
    if list.is_empty() {
        return;
    }
    println!("{what}: {}", list.len());
    for (name, why) in list.iter().take(MAX_LISTED) {
        println!("  {name}: {why}");
    }
    if list.len() > MAX_LISTED {
        println!("  and {} more", list.len() - MAX_LISTED);
    }
}

/// Lists the letters as they would be sent.
pub(super) fn print_letters<'a>(letters: impl ExactSizeIterator<Item = &'a Letter>) {
    let mut totals: BTreeMap<&str, usize> = BTreeMap::new();
    let number = letters.len();
    let mut rows = vec![["event id", "sequence number", "kind", "error", "given up"].map(str::to_owned)];
    for letter in letters {
        rows.push([
            letter.event_id.clone().unwrap_or_else(|| "-".to_owned()),
            letter.sequence_number.as_ref().map_or("-", SequenceNumber::as_str).to_owned(),
            letter.kind.map_or("-", EventKind::as_str).to_owned(),
            letter.error_kind.as_str().to_owned(),
            to_the_minute(letter.given_up),
        ]);
        *totals.entry(letter.error_kind.as_str()).or_default() += 1;
    }
    if number > 0 {
        print_table(&rows);
    }
    let totals: Vec<String> = totals.iter().map(|(kind, number)| format!("{number} {kind}")).collect();
    let totals = if totals.is_empty() { String::new() } else { format!(": {}", totals.join(", ")) };
    println!("{}{totals}", count(number, "dead letter"));
}

/// As RFC 3339, without the seconds: the ids and numbers of DynamoDB leave no more room in 100 columns.
fn to_the_minute(time: SystemTime) -> String {
    let seconds = humantime::format_rfc3339_seconds(crate::ui::printable(time)).to_string();
    seconds.rsplit_once(':').map_or_else(|| seconds.clone(), |(minute, _)| format!("{minute}Z"))
}

/// Reports letters that would not be sent, because another one of their record would be.
pub(super) fn print_copies(number: usize) {
    if number > 0 {
        println!("in addition, {} of the same records, which would not be sent", count(number, "letter"));
    }
}

/// Prints columns that are as wide as what is in them.
fn print_table<const COLUMNS: usize>(rows: &[[String; COLUMNS]]) {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let widths: [usize; COLUMNS] = std::array::from_fn(width);
    for row in rows {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
        println!("{}", cells.collect::<Vec<_>>().join("  ").trim_end());
    }
}

/// What the function's failures mean, where its words alone do not say it.
pub(super) fn print_hints(reasons: &[&str], is_deployed: bool) {
    if reasons.iter().any(|reason| reason.contains("LambdaStreams.Event")) {
        println!(
            "LambdaStreams.Event: the function found no dead letter in the event. Either its processor did not write these \
             letters, or it does not take SQS events (`run(processor)` does), or its version of lambda-streams is older than the letters"
        );
    }
    let is_skipped = |reason: &&str| reason.contains("skipped");
    // A deployed function's own words are elsewhere.
    let may_be_skipped = |reason: &&str| is_deployed && reason.contains("reports it");
    if reasons.iter().any(|reason| is_skipped(reason) || may_be_skipped(reason)) {
        println!(
            "if no handler takes a letter's kind of change, the function skips the letter, which fails and stays; the \
             processor's `delete_skipped_on_redrive` lets such letters go"
        );
    }
}

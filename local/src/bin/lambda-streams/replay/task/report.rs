//! What a replay says: before it, in a dry run, and at its end.

use std::process::ExitCode;
use std::time::SystemTime;

use super::{BATCH_SIZE, Task, be};
use crate::failure::{FAILED, GOOD};
use crate::replay::args::ReplayArgs;
use crate::replay::gather::Described;
use crate::replay::sources::Sources;
use crate::ui::{Ui, count, printable};

impl Task {
    /// Says what there is to be sent.
    pub(in crate::replay) fn describe(&self, ui: &Ui) {
        let records = count(self.plan.entries.len(), "record");
        let of = match &self.sources {
            Some(sources) => {
                format!(" of {} in {}", count(self.documents.len(), "document"), count(sources.held.len(), "place"))
            }
            None => format!(" of the stream {}", self.stream_arn),
        };
        let before = match self.done_before {
            0 => String::new(),
            done => format!("; {done} {} done by an earlier run", be(done)),
        };
        ui.line(&format!("replay    {records}{of}{before}"));
        for described in &self.documents {
            if let Some(lost) = &described.lost {
                ui.print(&format!("warning: {}: {lost}", self.place_of(described)));
            }
        }
    }

    fn place_of(&self, described: &Described) -> &str {
        self.sources
            .as_ref()
            .and_then(|sources| sources.held.get(described.held))
            .map_or("document", |held| &held.shown)
    }

    /// Lists what would be sent.
    pub(in crate::replay) fn list(&self, args: &ReplayArgs) {
        let left = self.progress().left.clone();
        for (described, left) in self.documents.iter().zip(left) {
            let document = &described.document;
            let number = |number: &Option<String>| number.clone().unwrap_or_else(|| "unknown".to_owned());
            println!("{}", self.place_of(described));
            println!(
                "  {left} of {} to send, {} to {} of {}",
                count(described.records, "record"),
                number(&document.start_sequence_number),
                number(&document.end_sequence_number),
                document.shard_id.as_deref().unwrap_or("an unknown shard"),
            );
            println!(
                "  given up at {}: {}",
                document.timestamp.as_deref().unwrap_or("an unknown time"),
                document.condition
            );
            if let Some(lost) = &described.lost {
                println!("  {lost}");
            }
        }
        let created = self.plan.entries.iter().filter_map(|entry| entry.record.created_at());
        if let (Some(first), Some(last)) = (created.clone().min(), created.max()) {
            println!("the changes were made from {} to {}", time(first), time(last));
        }
        let size = args.sending.batch_size.unwrap_or(BATCH_SIZE).get();
        let sends = match self.plan.entries.len() {
            0 => "nothing".to_owned(),
            records => {
                format!("{} in at least {}", count(records, "record"), count(records.div_ceil(size), "invocation"))
            }
        };
        println!("nothing was sent: a run would send {sends}{}", self.what_is_deleted());
    }

    fn what_is_deleted(&self) -> String {
        let deletes = |sources: &Sources| {
            let places = sources.held.iter().zip(&self.documents_of).filter(|(held, _)| sources.deletes(held));
            places.map(|(_, documents)| documents.len()).sum()
        };
        match self.sources.as_ref().map(deletes) {
            None | Some(0) => String::new(),
            Some(1) => ", and delete 1 document once its records are done".to_owned(),
            Some(documents) => format!(", and delete {documents} documents once their records are done"),
        }
    }

    /// The exit code of a dry run: whether anything is lost already.
    pub(in crate::replay) fn dry_code(&self) -> ExitCode {
        self.conclude(ExitCode::from(GOOD))
    }

    /// Reports the outcomes of the documents. Lost records, and places that could not be deleted, are failures.
    pub(in crate::replay) fn conclude(&self, code: ExitCode) -> ExitCode {
        let gone = (0..self.documents_of.len()).filter(|held| self.is_gone(*held));
        let deleted: usize = gone.map(|held| self.documents_of[held].len()).sum();
        let progress = self.progress();
        if progress.skipped > 0 {
            let have = if progress.skipped == 1 { "its item has" } else { "their items have" };
            println!(
                "  {} not sent, because {have} changed since. To send such records, use --stale process",
                count(progress.skipped, "record")
            );
        }
        if deleted > 0 {
            println!("  {} deleted, as all of their records are done", count(deleted, "document"));
        }
        let lost = self.documents.iter().filter(|described| described.lost.is_some()).count();
        if lost > 0 {
            println!("  {} with records that are lost or missing, which stay where they are", count(lost, "document"));
        }
        let has_more = self.sources.as_ref().is_some_and(|sources| sources.has_more);
        if has_more {
            println!("  the queue has more messages than one run can take: run it again");
        }
        for why in progress.refused.values() {
            println!("  {why}");
        }
        if lost == 0 && progress.refused.is_empty() && !has_more { code } else { ExitCode::from(FAILED) }
    }
}

fn time(time: SystemTime) -> String {
    humantime::format_rfc3339_seconds(printable(time)).to_string()
}

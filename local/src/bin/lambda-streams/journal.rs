//! What a run has done, kept for the next one: a file that only grows, and that one run at a time may have.
//!
//! *Invariant*: what is in the file has happened. A line that was cut by a crash is ignored.

use std::collections::{HashMap, HashSet};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::failure::Failure;

/// What the file says in its first line.
const HEADER: &str = "lambda-streams journal 1";

/// The journal of a run. It knows what earlier runs of the same work have done.
#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
    file: File,
    done: HashSet<String>,
    notes: HashMap<String, String>,
    is_finished: bool,
}

/// A line of the file.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Entry {
    Done(String),
    Again(String),
    Note(String, String),
}

impl Journal {
    /// Opens the journal of a piece of work, which its parts name: the command, the source, the function. `path` is another place for it.
    ///
    /// # Errors
    /// If another run has it open, if it cannot be read or written, or if the file is something else.
    pub(crate) fn open(work: &[impl AsRef<str>], path: Option<&Path>) -> Result<Self, Failure> {
        let path = match path {
            Some(path) => path.to_owned(),
            None => default_path(work)?,
        };
        let refuse = |error: std::io::Error| {
            Failure::not_begun(format!(
                "the journal {} cannot be used: {error}. Use --journal to name another file",
                path.display()
            ))
        };
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder).map_err(refuse)?;
        }
        // Keys of items are in it.
        let file = OpenOptions::new().create(true).read(true).append(true).mode(0o600).open(&path).map_err(refuse)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Failure::not_begun(format!(
                    "another run of this command is in progress: it has the journal {} open",
                    path.display()
                )));
            }
            Err(TryLockError::Error(error)) => return Err(refuse(error)),
        }
        // It is only removed as a journal once it was read as one.
        let (done, notes) = read(&file).map_err(refuse)?;
        Ok(Self { path: path.clone(), file, done, notes, is_finished: false })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether this was done by an earlier run, or by this one.
    pub(crate) fn contains(&self, name: &str) -> bool {
        self.done.contains(name)
    }

    /// Notes that these are done.
    ///
    /// # Errors
    /// If the file cannot be written: what is done would be repeated, so the run ends.
    pub(crate) fn add<'a>(&mut self, names: impl IntoIterator<Item = &'a str>) -> Result<(), Failure> {
        let mut lines = String::new();
        for name in names {
            if self.done.insert(name.to_owned()) {
                lines.push_str(&line(&Entry::Done(name.to_owned())));
            }
        }
        self.write(&lines)
    }

    /// Notes that these are to be done again, whatever was done before.
    ///
    /// # Errors
    /// As [`add`](Self::add).
    pub(crate) fn forget<'a>(&mut self, names: impl IntoIterator<Item = &'a str>) -> Result<(), Failure> {
        let done: Vec<&str> = names.into_iter().filter(|name| self.done.remove(*name)).collect();
        let lines: String = done.into_iter().map(|name| line(&Entry::Again(name.to_owned()))).collect();
        self.write(&lines)
    }

    /// What was last noted under this key.
    pub(crate) fn value(&self, key: &str) -> Option<&str> {
        self.notes.get(key).map(String::as_str)
    }

    /// Notes a value for the next run.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub(crate) fn note(&mut self, key: &str, value: &str) -> Result<(), Failure> {
        self.notes.insert(key.to_owned(), value.to_owned());
        self.write(&line(&Entry::Note(key.to_owned(), value.to_owned())))
    }

    /// Removes the file: nothing is left to be done.
    pub(crate) fn finish(mut self) {
        self.is_finished = true;
    }

    fn write(&mut self, lines: &str) -> Result<(), Failure> {
        let written = self.file.write_all(lines.as_bytes());
        written
            .map_err(|error| Failure::failed(format!("the journal {} cannot be written: {error}", self.path.display())))
    }
}

/// What earlier runs have done and noted; an empty file becomes a journal.
fn read(mut file: &File) -> std::io::Result<(HashSet<String>, HashMap<String, String>)> {
    let (mut done, mut notes) = (HashSet::new(), HashMap::new());
    let mut text = Vec::new();
    file.read_to_end(&mut text)?;
    if HEADER.as_bytes().starts_with(&text) {
        file.set_len(0)?;
        writeln!(file, "{HEADER}")?;
        return Ok((done, notes));
    }
    let mut lines = text.split(|byte| *byte == b'\n');
    if lines.next() != Some(HEADER.as_bytes()) {
        return Err(std::io::Error::other("it is not a journal of lambda-streams"));
    }
    for line in lines {
        match serde_json::from_slice(line) {
            Ok(Entry::Done(name)) => drop(done.insert(name)),
            Ok(Entry::Again(name)) => drop(done.remove(&name)),
            Ok(Entry::Note(key, value)) => drop(notes.insert(key, value)),
            // A crash has cut it.
            Err(_) => {}
        }
    }
    // What follows a cut line begins on a line of its own.
    if !text.ends_with(b"\n") {
        writeln!(file)?;
    }
    Ok((done, notes))
}

impl Drop for Journal {
    /// A file without entries is removed too, such as that of a dry run.
    fn drop(&mut self) {
        if self.is_finished || (self.done.is_empty() && self.notes.is_empty()) {
            // If it stays, the next run finds all of it done.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn line(entry: &Entry) -> String {
    let json = serde_json::to_string(entry).expect("strings always serialize");
    format!("{json}\n")
}

/// `$XDG_STATE_HOME/lambda-streams/<command>-<hash>.ndjson`
fn default_path(work: &[impl AsRef<str>]) -> Result<PathBuf, Failure> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let home = || set("HOME").map(|home| home.join(".local/state"));
    let state = set("XDG_STATE_HOME").filter(|path| path.is_absolute()).or_else(home);
    let state = state.ok_or_else(|| {
        Failure::not_begun("there is no place for the journal: use --journal, or set XDG_STATE_HOME or HOME")
    })?;
    let command = work.first().map_or("run", AsRef::as_ref);
    Ok(state.join("lambda-streams").join(format!("{command}-{:016x}.ndjson", fnv(work))))
}

/// FNV-1a: the same number with every version of Rust, which the standard library's hash does not promise.
pub(crate) fn fnv<T: AsRef<str>>(parts: &[T]) -> u64 {
    let bytes = parts.iter().flat_map(|part| part.as_ref().bytes().chain([0xFF]));
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("lambda-streams-journal-{name}-{}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        path
    }

    fn open(path: &Path) -> Result<Journal, Failure> {
        Journal::open(&["replay"], Some(path))
    }

    #[test]
    fn the_next_run_knows_what_is_done() {
        let path = path("next");
        let mut journal = open(&path).unwrap();
        journal.add(["a", "b", "a"]).unwrap();
        journal.add(["d", "e"]).unwrap();
        journal.forget(["d", "e", "f"]).unwrap();
        journal.add(["e"]).unwrap();
        journal.note("segment 1", "{}").unwrap();
        journal.note("segment 1", "end").unwrap();
        drop(journal);
        let journal = open(&path).unwrap();
        assert!(journal.contains("a") && journal.contains("b") && !journal.contains("c"));
        assert!(!journal.contains("d") && journal.contains("e"), "what was forgotten is done when it is done again");
        assert_eq!((journal.value("segment 1"), journal.value("segment 2")), (Some("end"), None));
        journal.finish();
        assert!(!path.exists());
    }

    #[test]
    fn a_journal_that_says_nothing_is_not_left() {
        let path = path("nothing");
        drop(open(&path).unwrap());
        assert!(!path.exists());
        open(&path).unwrap().add(["a"]).unwrap();
        drop(open(&path).unwrap());
        assert!(path.exists(), "another run has done something");
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn a_second_run_at_the_same_time_is_refused() {
        let path = path("second");
        let first = open(&path).unwrap();
        let refused = open(&path).unwrap_err().to_string();
        assert!(refused.starts_with("another run of this command is in progress"), "{refused}");
        first.finish();
        open(&path).unwrap().finish();
    }

    #[test]
    fn a_line_that_a_crash_has_cut_is_ignored() {
        let path = path("cut");
        let mut journal = open(&path).unwrap();
        journal.add(["a"]).unwrap();
        drop(journal);
        let whole = std::fs::read(&path).unwrap();
        for length in 0..whole.len() {
            std::fs::write(&path, &whole[..length]).unwrap();
            let mut journal = open(&path).unwrap();
            journal.add(["b"]).unwrap();
            drop(journal);
            let journal = open(&path).unwrap();
            // Without its line feed alone, the entry is whole.
            assert_eq!((journal.contains("a"), journal.contains("b")), (length + 1 == whole.len(), true), "{length}");
        }
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn the_default_place_is_that_of_the_work() {
        assert_eq!(fnv::<&str>(&[]), 0xcbf2_9ce4_8422_2325);
        assert_ne!(fnv(&["replay", "ab", "c"]), fnv(&["replay", "a", "bc"]));
    }

    #[test]
    fn another_file_is_not_written_to() {
        let path = path("other");
        std::fs::write(&path, "{}\n").unwrap();
        let refused = open(&path).unwrap_err().to_string();
        assert!(refused.contains("it is not a journal of lambda-streams"), "{refused}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "{}\n");
        std::fs::remove_file(&path).unwrap();
    }
}

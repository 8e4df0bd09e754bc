//! A dead-letter queue in a file, for development.
//!
//! Invariant: every line of the file is a whole letter, whatever is interrupted.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::envelope::{self, Attempts, Form};
use super::{DeadLetter, DeadLetterError, DeadLetterQueue};

/// A file of dead letters, one JSON object per line (NDJSON), for development.
///
/// Each line is an envelope that [`DeadLetter::from_json`] reads back. Letters are appended as whole lines, even if several queues and
/// processes write to the same file, after a crash in the middle of a line, and when the disk is full.
///
/// A letter is accepted once it is synced to the disk. Writing blocks the thread until then, which is acceptable in a development tool. On
/// Lambda the file system is lost with the execution environment: use `SqsDeadLetterQueue` there.
///
/// ```
/// use lambda_streams::{DeadLetter, FileDeadLetterQueue};
///
/// let path = std::env::temp_dir().join(format!("dead-letters-{}.ndjson", std::process::id()));
/// let queue = FileDeadLetterQueue::open(&path)?;
/// // … after the processor has run:
/// for line in std::fs::read_to_string(queue.path())?.lines() {
///     println!("{}", DeadLetter::from_json(line)?.error_message());
/// }
/// # std::fs::remove_file(&path)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct FileDeadLetterQueue {
    path: PathBuf,
}

impl FileDeadLetterQueue {
    /// Opens the file, or creates an empty one.
    ///
    /// # Errors
    /// If it cannot be opened for appending and reading, for example because its folder does not exist.
    pub fn open(path: impl Into<PathBuf>) -> io::Result<Self> {
        let queue = Self { path: path.into() };
        queue.file()?;
        Ok(queue)
    }

    /// The path that the queue was opened with.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens the file for each call again, so no letter is written to a file that was renamed or removed.
    fn file(&self) -> io::Result<File> {
        OpenOptions::new().create(true).append(true).read(true).open(&self.path)
    }

    fn append(&self, lines: &str) -> io::Result<()> {
        let mut file = self.file()?;
        // The lock is released with the file.
        let is_locked = is_locked(file.lock())?;
        let end = file.seek(SeekFrom::End(0))?;
        let ends_in_half_a_line = end > 0 && last_byte(&mut file, end)? != b'\n';
        let lines = if ends_in_half_a_line { format!("\n{lines}") } else { lines.to_owned() };
        file.write_all(lines.as_bytes()).and_then(|()| file.sync_data()).inspect_err(|_| {
            // Removes what was written of letters that are not accepted. If that fails too, the next call starts a new line.
            if is_locked {
                file.set_len(end).ok();
            }
        })
    }
}

/// Whether a lock was taken. A file system without locks has to do with one write in append mode.
fn is_locked(lock: io::Result<()>) -> io::Result<bool> {
    match lock {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::Unsupported => Ok(false),
        Err(error) => Err(error),
    }
}

fn last_byte(file: &mut File, end: u64) -> io::Result<u8> {
    let mut byte = [0];
    file.seek(SeekFrom::Start(end - 1))?;
    file.read_exact(&mut byte)?;
    Ok(byte[0])
}

impl DeadLetterQueue for FileDeadLetterQueue {
    async fn send(&self, letters: &[DeadLetter]) -> Vec<Result<(), DeadLetterError>> {
        let lines: String =
            letters.iter().map(|letter| envelope::write(letter, Form::Line, Attempts::All) + "\n").collect();
        let path = self.path.display();
        match self.append(&lines) {
            Ok(()) => letters.iter().map(|_| Ok(())).collect(),
            Err(error) => letters
                .iter()
                .map(|_| Err(DeadLetterError::new(format!("the dead letter could not be written to {path}: {error}"))))
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_file_system_without_locks_needs_none() {
        assert!(is_locked(Ok(())).is_ok_and(|is_locked| is_locked));
        assert!(is_locked(Err(io::ErrorKind::Unsupported.into())).is_ok_and(|is_locked| !is_locked));
        assert!(is_locked(Err(io::ErrorKind::Interrupted.into())).is_err());
    }
}

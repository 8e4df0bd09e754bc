//! Files and the standard input.

use std::io::{IsTerminal, Read};
use std::path::Path;

use crate::failure::Failure;

/// How a file is called in messages.
pub(crate) fn name(path: &Path) -> String {
    if is_stdin(path) { "the standard input".to_owned() } else { path.display().to_string() }
}

/// Reads a file, or the standard input for `-`, as text.
pub(crate) fn read(path: &Path) -> Result<String, Failure> {
    let mut bytes = Vec::new();
    if is_stdin(path) && std::io::stdin().is_terminal() {
        eprintln!("reading standard input; Ctrl-D ends it");
    }
    let read = match is_stdin(path) {
        true => std::io::stdin().lock().read_to_end(&mut bytes).map(drop),
        false => std::fs::read(path).map(|file| bytes = file),
    };
    read.map_err(|error| Failure::not_begun(format!("{} cannot be read: {error}", name(path))))?;
    String::from_utf8(bytes).map_err(|_| Failure::not_begun(format!("{} is not UTF-8", name(path))))
}

/// Reads a file where other kinds of places can be named too; `others` says how, for a name that is not a file's.
pub(crate) fn read_or_advise(path: &Path, others: &str) -> Result<String, Failure> {
    if !is_stdin(path) && matches!(path.try_exists(), Ok(false)) {
        return Err(Failure::not_begun(format!("there is no file {}: {others}", name(path))));
    }
    read(path)
}

pub(crate) fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == "-"
}

//! What the developer sees of a run: live on a terminal, one line for each event otherwise.

mod block;
mod describe;
mod live;

use std::sync::{Mutex, MutexGuard, PoisonError};

use lambda_streams_local::{FunctionOutput, Progress, Summary};

use crate::outcomes::Outcomes;

pub(crate) use self::describe::{count, duration, size};

use self::block::Block;
use self::describe::{Weight, describe};
use self::live::Live;

/// How a run is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// What is remarkable as lines, the rest in a block that changes below them.
    Live,
    /// Everything as lines.
    Lines,
    /// Warnings alone.
    Quiet,
}

/// All output goes to the standard error.
pub(crate) struct Ui {
    mode: Mode,
    block: Mutex<Block>,
    live: Mutex<Live>,
    outcomes: Mutex<Outcomes>,
    shows_function: bool,
}

impl Ui {
    pub(crate) fn new(plain: bool, quiet: bool, shows_function: bool) -> Self {
        let mode = match (quiet, plain || !block::is_possible()) {
            (true, _) => Mode::Quiet,
            (false, true) => Mode::Lines,
            (false, false) => Mode::Live,
        };
        Self { mode, block: Mutex::default(), live: Mutex::default(), outcomes: Mutex::default(), shows_function }
    }

    /// Removes the live block.
    pub(crate) fn finish(&self) {
        if self.mode == Mode::Live {
            lock(&self.block).clear();
        }
    }

    /// Prints a line above the live block.
    pub(crate) fn line(&self, line: &str) {
        match self.mode {
            Mode::Quiet => {}
            _ => self.print(line),
        }
    }

    /// Prints a line of the ordinary course, which a live block tells in another way.
    pub(crate) fn routine(&self, line: &str) {
        if self.mode == Mode::Lines {
            self.print(line);
        }
    }

    /// Redraws the live block with this text.
    pub(crate) fn show(&self, text: String) {
        if self.mode == Mode::Live {
            lock(&self.block).draw(text);
        }
    }

    /// Prints a line in any mode.
    pub(crate) fn print(&self, line: &str) {
        match self.mode {
            Mode::Live => lock(&self.block).print(line),
            _ => eprintln!("{line}"),
        }
    }

    /// Shows what happened.
    pub(crate) fn progress(&self, progress: &Progress) {
        lock(&self.live).note(progress);
        let Some((weight, text)) = describe(progress) else { return };
        let is_shown = match self.mode {
            Mode::Live => weight >= Weight::Remarkable,
            Mode::Lines => true,
            Mode::Quiet => weight >= Weight::Warning,
        };
        if is_shown {
            self.print(&text);
        }
    }

    /// Shows a line that the function wrote, unless it goes to a file, and reads what it says of dead letters.
    pub(crate) fn function_wrote(&self, output: FunctionOutput<'_>) {
        if !output.is_stderr {
            lock(&self.outcomes).read(output.line);
        }
        if self.shows_function {
            self.line(&output.to_string());
        }
    }

    /// Redraws the live block.
    pub(crate) fn refresh(&self, summary: &Summary, is_draining: bool) {
        if self.mode == Mode::Live {
            let text = lock(&self.live).render(summary, self.dead_letters(), is_draining);
            lock(&self.block).draw(text);
        }
    }

    /// How many dead letters the function has reported.
    pub(crate) fn dead_letters(&self) -> u64 {
        lock(&self.outcomes).dead_letters()
    }
}

fn lock<V>(mutex: &Mutex<V>) -> MutexGuard<'_, V> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The nearest time that can be printed: `humantime` formats years from 1970 to 9999, and a record may say any.
pub(crate) fn printable(time: std::time::SystemTime) -> std::time::SystemTime {
    let last = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(253_402_300_799);
    time.clamp(std::time::SystemTime::UNIX_EPOCH, last)
}

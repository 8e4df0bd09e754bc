//! Lines at the bottom of a terminal that are drawn again and again.

use std::io::{IsTerminal, Write};

/// A block of lines on the standard error. The cursor stays below it, so the `^C` which a terminal echoes goes with
/// it when it is redrawn.
#[derive(Debug, Default)]
pub(super) struct Block {
    text: String,
    height: usize,
}

/// Whether the standard error can show a block.
pub(super) fn is_possible() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("TERM").is_some_and(|term| term != "dumb")
}

impl Block {
    /// Draws the block with another text.
    pub(super) fn draw(&mut self, text: String) {
        self.text = text;
        self.write("");
    }

    /// Prints a line above the block.
    pub(super) fn print(&mut self, line: &str) {
        self.write(&format!("{line}\n"));
    }

    /// Removes the block.
    pub(super) fn clear(&mut self) {
        self.draw(String::new());
    }

    fn write(&mut self, above: &str) {
        const CLEAR_BELOW: &str = "\r\x1b[J";
        let up = if self.height > 0 { format!("\x1b[{}A", self.height) } else { String::new() };
        let lines = fit(&self.text, size());
        self.height = lines.len();
        let block: String = lines.iter().map(|line| format!("{line}\n")).collect();
        // A terminal that is gone shows nothing, and the run goes on.
        let _ = write!(std::io::stderr().lock(), "{up}{CLEAR_BELOW}{above}{block}");
    }
}

/// The terminal's columns and rows.
fn size() -> (usize, usize) {
    let size = rustix::termios::tcgetwinsize(std::io::stderr()).ok();
    let size = size.filter(|size| size.ws_col > 0 && size.ws_row > 0);
    size.map_or((80, 24), |size| (size.ws_col.into(), size.ws_row.into()))
}

/// A line that the terminal wraps, or a block higher than the terminal, could no longer be removed.
fn fit(text: &str, (columns, rows): (usize, usize)) -> Vec<String> {
    let lines = text.lines().take(rows.saturating_sub(1));
    lines.map(|line| line.chars().take(columns.saturating_sub(1)).collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_block_fits_the_terminal() {
        assert_eq!(fit("abcdef\ngh\ni\nj", (5, 4)), ["abcd", "gh", "i"]);
        assert!(fit("", (80, 24)).is_empty());
    }
}

//! Texts of bounded length: what an error says may be as long as the response that it quotes.

use std::fmt::{self, Display, Write};

/// The most bytes of a text in a log line, as in a dead letter.
const MAX_TEXT: usize = 4096;

/// The text of a value, cut where it is too long.
pub(super) fn bounded(value: impl Display) -> String {
    let mut text = Bounded::default();
    // A value whose `Display` fails is logged as far as it came.
    let _ = write!(text, "{value}");
    let Bounded { mut kept, left_out } = text;
    if left_out > 0 {
        let _ = write!(kept, "… ({left_out} bytes more)");
    }
    kept
}

#[derive(Default)]
struct Bounded {
    kept: String,
    left_out: usize,
}

impl Write for Bounded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = if self.left_out == 0 { MAX_TEXT - self.kept.len() } else { 0 };
        let (kept, rest) = text.split_at(text.floor_char_boundary(room));
        self.kept.push_str(kept);
        self.left_out += rest.len();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_between_characters() {
        let short = "ü".repeat(MAX_TEXT / 2);
        assert_eq!(bounded(&short), short);
        assert_eq!(bounded(format!("a{short}")), format!("a{}… (2 bytes more)", &short[2..]));
        let parts = fmt::from_fn(|f| (0..3).try_for_each(|_| f.write_str(&short)));
        assert_eq!(bounded(parts), format!("{short}… ({} bytes more)", 2 * MAX_TEXT));
    }
}

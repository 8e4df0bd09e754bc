//! The path to an attribute: `NewImage.lines[2].price`. It is built from the inside out, as the error is returned.

use std::fmt::Write as _;

/// An attribute's name may have 65,535 bytes; an error shows this many characters of it.
const SHOWN: usize = 120;

#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct Path {
    text: String,
    /// Whether it leads to an attribute, and not only to an image.
    attribute: bool,
    /// Whether the error lies deeper, in a value that serde had buffered, so the rest of the path is unknown.
    pub(super) deeper: bool,
}

impl Path {
    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    pub(super) fn is_attribute(&self) -> bool {
        self.attribute
    }

    /// Adds the member of the record at the start.
    pub(super) fn within(&mut self, member: &'static str) {
        self.prefix(member.to_owned());
    }

    pub(super) fn prefix_name(&mut self, name: &str) {
        let plain = |char: char| !char.is_control() && !char.is_whitespace() && !".[]\"`\\".contains(char);
        let mut shown: String = name.chars().take(SHOWN).collect();
        if shown.len() < name.len() {
            shown.push('…');
        }
        if name.is_empty() || !name.chars().all(plain) {
            shown = format!("[{shown:?}]");
        }
        self.prefix(shown);
        self.attribute = true;
    }

    pub(super) fn prefix_index(&mut self, index: usize) {
        self.prefix(format!("[{index}]"));
        self.attribute = true;
    }

    /// Adds another path at the end.
    pub(super) fn append(&mut self, inner: &Self) {
        if !inner.attribute {
            return;
        }
        let dot = if self.text.is_empty() || inner.text.starts_with('[') { "" } else { "." };
        self.text = format!("{}{dot}{}", self.text, inner.text);
        self.attribute = true;
        self.deeper = false;
    }

    fn prefix(&mut self, mut segment: String) {
        let dot = if self.text.is_empty() || self.text.starts_with('[') { "" } else { "." };
        write!(segment, "{dot}{}", self.text).expect("writing to a `String` cannot fail");
        self.text = segment;
    }
}

//! The way to an attribute: `NewImage.lines[2].price`.

use std::fmt::Write as _;

/// An attribute's name may have 65,535 bytes; an error shows this many characters of it.
const SHOWN: usize = 120;

#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct Path {
    text: String,
    /// Whether it leads to an attribute, and not only to an image.
    attribute: bool,
    /// Whether the error lies deeper, where serde has read ahead and nobody knows the way.
    pub(super) deeper: bool,
}

impl Path {
    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    pub(super) fn is_attribute(&self) -> bool {
        self.attribute
    }

    /// Puts the member of the record in front.
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

    fn prefix(&mut self, mut segment: String) {
        let dot = if self.text.is_empty() || self.text.starts_with('[') { "" } else { "." };
        write!(segment, "{dot}{}", self.text).expect("writing to a string does not fail");
        self.text = segment;
    }
}

//! The names seen so far in one object, to find the second of a pair.

use std::borrow::Cow;
use std::collections::HashSet;

/// Below this number of names comparing each with each is quicker than hashing, and needs no allocation.
const FEW: usize = 24;

pub(super) struct Names<'de> {
    /// A bit for the look of each name: a name whose bit is not set has not been seen.
    looks: u64,
    few: [&'de str; FEW],
    len: usize,
    many: Option<HashSet<Cow<'de, str>>>,
}

impl<'de> Names<'de> {
    #[inline]
    pub(super) fn new() -> Self {
        Self { looks: 0, few: [""; FEW], len: 0, many: None }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0 && self.many.is_none()
    }

    /// Takes a name; `false` if it was there before.
    #[inline]
    pub(super) fn insert(&mut self, name: Cow<'de, str>) -> bool {
        match name {
            Cow::Borrowed(name) if self.many.is_none() && self.len < FEW => {
                let look = look(name);
                if self.looks & look != 0 && self.few[..self.len].contains(&name) {
                    return false;
                }
                self.looks |= look;
                self.few[self.len] = name;
                self.len += 1;
                true
            }
            _ => self.insert_hashed(name),
        }
    }

    #[cold]
    fn insert_hashed(&mut self, name: Cow<'de, str>) -> bool {
        let few = &self.few[..self.len];
        let many = self.many.get_or_insert_with(|| few.iter().copied().map(Cow::Borrowed).collect());
        many.insert(name)
    }
}

/// One of 64 bits, by a name's length and its first and last byte.
#[inline]
fn look(name: &str) -> u64 {
    let bytes = name.as_bytes();
    let ends = |byte: Option<&u8>| byte.copied().unwrap_or_default();
    let mixed = bytes.len() ^ usize::from(ends(bytes.first())) << 2 ^ usize::from(ends(bytes.last()).wrapping_mul(7));
    1 << (mixed % 64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_name_is_found_among_few_and_many_borrowed_and_owned() {
        for count in [1, FEW - 1, FEW, FEW + 1, 500] {
            for escaped in [false, true] {
                let texts: Vec<String> = (0..count).map(|number| format!("n{number}")).collect();
                let name = |text: &'static str| if escaped { Cow::Owned(text.to_owned()) } else { Cow::Borrowed(text) };
                let mut names = Names::new();
                assert!(names.is_empty());
                assert!(names.insert(name("first")));
                assert!(texts.iter().all(|text| names.insert(Cow::Borrowed(text))));
                assert!(!names.insert(name("first")));
                assert!(!names.insert(Cow::Borrowed("first")));
                assert!(!texts.iter().any(|text| names.insert(Cow::Borrowed(text))));
                assert!(!names.is_empty());
            }
        }
    }
}

//! Deserializes lists and sets: `L`, `SS`, `NS` and `BS` as sequences.
//!
//! Invariant: all elements are checked, also those that the type does not ask for.

use serde::de::{DeserializeSeed, SeqAccess};

use super::cursor::Cursor;
use super::error::{AttributeType, ErrorImpl};

/// The elements of an `L`, `SS`, `NS` or `BS`, in the order of the text.
pub(super) struct Elements<'a, 'de> {
    cursor: &'a mut Cursor<'de>,
    /// The type of the elements of a set, which is that of the set. The elements of a list have one each.
    of_set: Option<AttributeType>,
    index: usize,
    done: bool,
}

impl<'de> Elements<'_, 'de> {
    /// `None` if the type is not a sequence.
    pub(super) fn open<'b>(
        cursor: &'b mut Cursor<'de>,
        tag: AttributeType,
    ) -> Result<Option<Elements<'b, 'de>>, ErrorImpl> {
        let of_set = tag.of_elements();
        if of_set.is_none() && tag != AttributeType::L {
            return Ok(None);
        }
        cursor.open_elements()?;
        cursor.depth += usize::from(of_set.is_none());
        Ok(Some(Elements { cursor, of_set, index: 0, done: false }))
    }

    /// Checks the elements that the type did not ask for.
    pub(super) fn finish(&mut self) -> Result<(), ErrorImpl> {
        while self.next_element::<serde::de::IgnoredAny>()?.is_some() {}
        self.cursor.depth -= usize::from(self.of_set.is_none());
        Ok(())
    }
}

impl<'de> SeqAccess<'de> for Elements<'_, 'de> {
    type Error = ErrorImpl;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, ErrorImpl> {
        // A type may ask for more after an error. It finds nothing, and the error stays.
        if self.done || self.cursor.broken.is_some() {
            return Ok(None);
        }
        if !self.cursor.next_in(self.index == 0, b']')? {
            self.done = true;
            return Ok(None);
        }
        let index = self.index;
        self.index += 1;
        let element = match self.of_set {
            Some(tag) => self.cursor.bare_value(tag, seed),
            None => self.cursor.value(seed),
        };
        element.map(Some).map_err(|error| error.at_index(index))
    }
}

//! The members of an object whose names mean something, unread.

use super::value::Value;

/// A member that spoils its object.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BadMember {
    /// Where its name starts in the whole text.
    pub(crate) at: usize,
    /// Whether it is known and stands there twice; otherwise its name cannot be read.
    pub(crate) repeated: bool,
}

/// An object's known members, unread; `null` counts as absent. Read one object after the other into the same place: what
/// is expected where it was the last time is found faster.
#[derive(Clone, Copy)]
pub(crate) struct Members<'a, const N: usize> {
    values: [Option<Value<'a>>; N],
    pub(super) bad: Option<BadMember>,
    /// The member that the object before began with: its number, and its name up to its value.
    first: (usize, &'a str),
    /// The number of the member that stood behind each.
    next: [usize; N],
    /// The name of each as it stood behind another, from its comma up to its value; empty if it never did.
    names: [&'a str; N],
}

impl<'a, const N: usize> Members<'a, N> {
    pub(crate) const NONE: Self = Self { values: [None; N], bad: None, first: (0, ""), next: [0; N], names: [""; N] };

    /// Makes place for those of the next object.
    pub(crate) fn clear(&mut self) {
        (self.values, self.bad) = ([None; N], None);
    }

    /// What is expected behind the last member, or first of all: a number, and the name up to the value.
    #[inline]
    pub(super) fn expected(&self, first: bool, last: Option<usize>) -> (usize, &'a str) {
        match last {
            Some(last) => (self.next[last], self.names[self.next[last]]),
            None if first => self.first,
            None => (0, ""),
        }
    }

    /// Expects it there the next time.
    #[inline]
    pub(super) fn expect(&mut self, first: bool, last: Option<usize>, number: usize, name: &'a str) {
        if first {
            self.first = (number, name);
        } else {
            self.names[number] = name;
        }
        if let Some(last) = last {
            self.next[last] = number;
        }
    }

    /// Puts another value in a member's place; `null` counts as absent.
    pub(crate) fn replace(&mut self, number: usize, value: Value<'a>) {
        self.values[number] = (value.json != "null").then_some(value);
    }

    /// In the order of their names' numbers.
    pub(crate) fn values(&self) -> Result<&[Option<Value<'a>>; N], BadMember> {
        self.bad.map_or(Ok(&self.values), Err)
    }
}

/// Where a scanner is in an object.
pub(crate) struct Object<const N: usize> {
    /// The known members that were taken.
    pub(super) seen: [bool; N],
    pub(super) is_at_first: bool,
    /// The known member that was taken last.
    pub(super) last: Option<usize>,
    /// Where the member starts that was moved to last.
    pub(super) member: usize,
}

impl<const N: usize> Object<N> {
    /// Behind its opening brace.
    pub(crate) const START: Self = Self { seen: [false; N], is_at_first: true, last: None, member: 0 };
}

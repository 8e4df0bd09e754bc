//! The order in which an object's members are expected: that of the object before.

use super::members::{Last, MemberName};

/// Predicts the next member of an object from the objects read before, whose text usually has the same names in the same
/// order.
///
/// It saves looking names up: 2 % of the instructions of a record with both images, 9 % of one without
/// (`benches/instructions.sh`, *from the bytes* and *keys only, no handler*).
pub(crate) struct MemberOrder<'a, M, const N: usize> {
    first: Option<Expected<'a, M>>,
    /// By the index of the member before.
    after: [Option<Expected<'a, M>>; N],
}

/// A member that is expected next.
#[derive(Clone, Copy)]
pub(super) struct Expected<'a, M> {
    pub(super) member: M,
    /// Its text from the comma before its name, if there is one, up to its value.
    pub(super) prefix: &'a str,
}

impl<'a, M: MemberName, const N: usize> MemberOrder<'a, M, N> {
    pub(crate) const UNKNOWN: Self = Self { first: None, after: [None; N] };

    #[inline(always)]
    pub(super) fn expected(&self, last: Last<M>) -> Option<Expected<'a, M>> {
        match last {
            Last::None => self.first,
            Last::Known(last) => self.after[last.index()],
            Last::Skipped => None,
        }
    }

    /// Expects the member in this place of the objects that follow.
    #[inline]
    pub(super) fn expect(&mut self, last: Last<M>, next: Expected<'a, M>) {
        match last {
            Last::None => self.first = Some(next),
            Last::Known(last) => self.after[last.index()] = Some(next),
            Last::Skipped => {}
        }
    }
}

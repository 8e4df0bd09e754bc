//! The members of one object: those that are read, by name, without decoding their values.

use std::marker::PhantomData;

use super::raw::RawJson;

/// The names of those members of an object that are read; all others are skipped. [`member_names`] defines one.
pub(crate) trait MemberName: Copy {
    fn from_name(name: &str) -> Option<Self>;
    /// A number below the count of the names.
    fn index(self) -> usize;
}

/// Defines an enum of member names, each with its spelling in JSON.
macro_rules! member_names {
    ($(#[$attribute:meta])* $visibility:vis enum $Member:ident { $($Name:ident = $spelling:literal,)* }) => {
        $(#[$attribute])*
        #[derive(Clone, Copy)]
        $visibility enum $Member {
            $($Name,)*
        }

        impl $Member {
            /// How many names there are.
            $visibility const COUNT: usize = [$($spelling),*].len();
        }

        impl $crate::json::MemberName for $Member {
            #[inline]
            fn from_name(name: &str) -> Option<Self> {
                match name {
                    $($spelling => Some(Self::$Name),)*
                    _ => None,
                }
            }

            #[inline(always)]
            fn index(self) -> usize {
                self as usize
            }
        }
    };
}

pub(crate) use member_names;

/// The values of an object's members by name; `null` counts as absent. `N` is the count of the names `M`.
#[derive(Clone, Copy)]
pub(crate) struct Members<'a, M, const N: usize> {
    values: [Option<RawJson<'a>>; N],
    bad: Option<BadMember>,
    names: PhantomData<M>,
}

/// A member that makes its object ambiguous or unreadable.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BadMember {
    /// Where its name starts in the whole text.
    pub(crate) at: usize,
    pub(crate) problem: Problem,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Problem {
    /// It is the second member of this name.
    Repeated,
    /// Its name has half of a surrogate pair, so it cannot be decoded.
    UnreadableName,
}

impl<'a, M: MemberName, const N: usize> Members<'a, M, N> {
    pub(crate) const NONE: Self = Self { values: [None; N], bad: None, names: PhantomData };

    /// The value of a member, if the object has it and it is not `null`.
    #[inline]
    pub(crate) fn get(&self, member: M) -> Option<RawJson<'a>> {
        self.values[member.index()]
    }

    pub(crate) fn set(&mut self, member: M, value: RawJson<'a>) {
        self.values[member.index()] = (value.text != "null").then_some(value);
    }

    /// The same members, unless one of them is bad.
    pub(crate) fn checked(&self) -> Result<&Self, BadMember> {
        self.bad.map_or(Ok(self), Err)
    }

    /// The first bad member is the one that is reported.
    pub(super) fn set_bad(&mut self, at: usize, problem: Problem) {
        self.bad.get_or_insert(BadMember { at, problem });
    }
}

/// How far a scanner has come in an object.
pub(crate) struct Object<M, const N: usize> {
    /// The members whose values were taken, also those that are `null`.
    pub(super) seen: [bool; N],
    pub(super) last: Last<M>,
    /// Where the current member starts, with the comma before it.
    pub(super) member_start: usize,
}

/// The member before the current one.
#[derive(Clone, Copy)]
pub(super) enum Last<M> {
    /// There is none: the object has just begun.
    None,
    Known(M),
    Skipped,
}

impl<M, const N: usize> Object<M, N> {
    /// At the first member.
    pub(crate) const START: Self = Self { seen: [false; N], last: Last::None, member_start: 0 };
}

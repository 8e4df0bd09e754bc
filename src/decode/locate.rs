//! Finds the value that an error is about, in a part of an item that serde had buffered.
//!
//! serde reads the content of flattened parts and of most enums into a buffer, and decodes it from there, where nothing knows
//! the path. Its errors mostly say which value was refused. If just one value of the part is that one, the path leads to it.
//! If a few are, the item is decoded again without each of them: the error is about the one without which it changes.

use super::cursor::{Cursor, Mark};
use super::decimal::{self, AnyNumber};
use super::error::{AttributeType, ErrorImpl, Fingerprint};
use super::rounded::Rounded;

/// How many values may be the one, so an item is not decoded any number of times.
const MAX_CANDIDATES: usize = 8;

/// A value that an error may be about.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Candidate {
    /// The way to it from the value in which it was searched.
    path: Vec<Segment>,
    tag: AttributeType,
    /// Where the innermost name on the way starts.
    name_at: usize,
}

impl Candidate {
    /// Adds the way to this value at the end of an error's path.
    fn put(self, error: &mut ErrorImpl) {
        error.set_found(self.tag);
        let mut inner = ErrorImpl::malformed("");
        for segment in self.path.iter().rev() {
            match segment {
                Segment::Name(name) => inner.put_name(name),
                Segment::Index(index) => inner.put_index(*index),
            }
        }
        error.append_path(&inner);
    }
}

/// The candidates of an error are tried one after the other: the item is decoded without one of them.
pub(super) struct Trial {
    error: ErrorImpl,
    candidates: Vec<Candidate>,
    /// The one that is left out now.
    current: usize,
    /// Those without which the error was another one, or none.
    suspects: Vec<usize>,
}

impl Cursor<'_> {
    /// Whether the item has to be decoded again: with another number rounded, or to find out what an error is about. If not,
    /// the result is the final one.
    #[cold]
    #[inline(never)]
    pub(super) fn decodes_again<T>(&mut self, result: &mut Result<T, ErrorImpl>) -> bool {
        let trial = match (self.trial.take(), &mut *result) {
            (Some(mut trial), result) => {
                let is_other = result.as_ref().map_or_else(|error| !error.is_same(&trial.error), |_| true);
                trial.suspects.extend(is_other.then_some(trial.current));
                trial.current += 1;
                trial
            }
            (None, Err(error)) if self.broken.is_none() => {
                if self.rounded.add(error) {
                    self.restart();
                    return true;
                }
                let candidates = error.take_candidates();
                if candidates.is_empty() {
                    return false;
                }
                Box::new(Trial { error: error.clone(), candidates, current: 0, suspects: Vec::new() })
            }
            _ => return false,
        };
        if let Some(candidate) = trial.candidates.get(trial.current) {
            self.restart();
            self.hidden = candidate.name_at;
            self.trial = Some(trial);
            return true;
        }
        let Trial { mut error, mut candidates, suspects, .. } = *trial;
        if let [only] = suspects[..] {
            candidates.swap_remove(only).put(&mut error);
        }
        *result = Err(error);
        false
    }

    fn restart(&mut self) {
        let rounded: Rounded = std::mem::take(&mut self.rounded);
        *self = Self { rounded, ..Self::new(self.text) };
    }

    /// Adds to an error's path the way from a value to the part of it that the error is about, if that is certain. The cursor is
    /// after the value, which is well-formed.
    #[cold]
    pub(super) fn locate(&mut self, mark: Mark, bare: Option<AttributeType>, error: &mut ErrorImpl) {
        // Errors of a trial are compared as they are.
        let Some(wanted) = error.unlocated().filter(|_| self.trial.is_none()) else { return };
        let end = self.mark();
        self.rewind(mark);
        let mut search = Search { wanted, path: Vec::new(), name_at: usize::MAX, found: Vec::new() };
        let searched = match bare {
            Some(AttributeType::M) => self.search_members(&mut search),
            Some(tag) => self.search_content(tag, &mut search),
            None => self.search_value(&mut search),
        };
        self.rewind(end);
        if searched.is_err() {
            return;
        }
        let mut parts = search.found;
        let whole = parts.iter().position(|candidate| candidate.path.is_empty()).map(|index| parts.remove(index));
        match (whole, parts.len()) {
            (Some(whole), 0) => whole.put(error),
            (None, 1) => parts.remove(0).put(error),
            // Only what has a name can be left out.
            (_, 1..=MAX_CANDIDATES) if parts.iter().all(|part| part.name_at != usize::MAX) => {
                error.set_candidates(parts)
            }
            _ => {}
        }
    }
}

/// A search for a value by its fingerprint.
struct Search {
    wanted: Fingerprint,
    /// The way to the current value.
    path: Vec<Segment>,
    name_at: usize,
    found: Vec<Candidate>,
}

#[derive(Clone, PartialEq, Eq)]
enum Segment {
    Name(String),
    Index(usize),
}

impl Cursor<'_> {
    fn search_value(&mut self, search: &mut Search) -> Result<(), ErrorImpl> {
        let tag = self.open_value()?;
        self.search_content(tag, search)?;
        self.close_value()
    }

    fn search_content(&mut self, tag: AttributeType, search: &mut Search) -> Result<(), ErrorImpl> {
        match tag {
            AttributeType::S => search.visit(tag, Fingerprint::text(&self.text_content()?)),
            AttributeType::N => search.visit(tag, of_number(&self.number_content()?, &self.rounded)),
            AttributeType::B => search.visit(tag, Fingerprint::bytes(&self.binary_content()?)),
            AttributeType::Bool => search.visit(tag, Fingerprint::bool(self.boolean()?)),
            AttributeType::Null => {
                self.null_content()?;
                search.visit(tag, Fingerprint::null());
            }
            AttributeType::M => {
                search.visit(tag, Fingerprint::map());
                self.depth += 1;
                self.search_members(search)?;
                self.depth -= 1;
            }
            AttributeType::L => {
                search.visit(tag, Fingerprint::sequence());
                self.depth += 1;
                self.search_elements(search, Self::search_value)?;
                self.depth -= 1;
            }
            AttributeType::SS | AttributeType::NS | AttributeType::BS => {
                search.visit(tag, Fingerprint::sequence());
                let element = tag.of_elements().expect("a set has elements of one type");
                self.search_elements(search, |cursor, search| cursor.search_content(element, search))?;
            }
        }
        Ok(())
    }

    fn search_members(&mut self, search: &mut Search) -> Result<(), ErrorImpl> {
        let mut names = self.open_members()?;
        while let Some(name) = self.next_member(&mut names)? {
            search.path.push(Segment::Name(name.text.into_owned()));
            let outer = std::mem::replace(&mut search.name_at, name.at);
            self.search_value(search)?;
            search.name_at = outer;
            search.path.pop();
        }
        Ok(())
    }

    fn search_elements(
        &mut self,
        search: &mut Search,
        element: impl Fn(&mut Self, &mut Search) -> Result<(), ErrorImpl>,
    ) -> Result<(), ErrorImpl> {
        self.open_elements()?;
        let mut index = 0;
        while self.next_in(index == 0, b']')? {
            search.path.push(Segment::Index(index));
            element(self, search)?;
            search.path.pop();
            index += 1;
        }
        Ok(())
    }
}

impl Search {
    fn visit(&mut self, tag: AttributeType, value: Fingerprint) {
        // One more than may be tried shows that there are too many.
        if value == self.wanted && self.found.len() <= MAX_CANDIDATES {
            self.found.push(Candidate { path: self.path.clone(), tag, name_at: self.name_at });
        }
    }
}

/// As the decoder passes a number to a type that takes any value.
fn of_number(text: &str, rounded: &Rounded) -> Fingerprint {
    match decimal::any(text) {
        AnyNumber::Signed(number) => Fingerprint::integer(number.into()),
        AnyNumber::Unsigned(number) => Fingerprint::integer(number.into()),
        AnyNumber::Float(number) => Fingerprint::float(number),
        AnyNumber::Text => rounded.get(text).map_or_else(|| Fingerprint::text(text), Fingerprint::float),
    }
}

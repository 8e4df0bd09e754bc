//! The record whose code runs on this thread: what its handler or the filter logs belongs to it.
//!
//! Invariant: it is set while that code is polled, called or dropped, and at no other time. So it follows a handler through its awaits,
//! and handlers that take turns on a thread do not mix.

use std::cell::Cell;
use std::mem::ManuallyDrop;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::failure::shown;
use crate::record::RecordRef;

thread_local! {
    /// Out of all scopes it is `None`, so nothing is left to drop when the thread ends. A value that were dropped then would have each
    /// access ask whether it has been, which takes 43 more instructions a record (`benches/columns.rs`, with `Logs` installed).
    static CURRENT: Cell<ManuallyDrop<Option<RecordRef>>> = const { Cell::new(ManuallyDrop::new(None)) };
}

/// Whether the process has a log that asks for the current record. Without one, noting it would be in vain.
static IS_ASKED_FOR: AtomicBool = AtomicBool::new(false);

/// A record that is the current one in a scope, which may be entered many times.
///
/// While the scope is entered, this is the record that was current before.
pub(crate) struct CurrentRecord(Option<RecordRef>);

impl CurrentRecord {
    /// Of what is about no one record.
    pub(crate) const NONE: Self = Self(None);

    /// Holds nothing if nothing asks for the current record.
    pub(crate) fn new(record: &RecordRef) -> Self {
        let is_asked_for = IS_ASKED_FOR.load(Ordering::Relaxed);
        Self(is_asked_for.then(|| record.clone()))
    }

    #[inline]
    pub(crate) fn in_scope<T>(&mut self, run: impl FnOnce() -> T) -> T {
        let _entered = self.enter();
        run()
    }

    #[inline]
    fn enter(&mut self) -> Option<Entered<'_>> {
        self.0.as_ref()?;
        swap(&mut self.0);
        Some(Entered(&mut self.0))
    }
}

/// Makes the record that was current before the current one again.
struct Entered<'a>(&'a mut Option<RecordRef>);

impl Drop for Entered<'_> {
    #[inline]
    fn drop(&mut self) {
        swap(self.0);
    }
}

#[inline]
fn swap(record: &mut Option<RecordRef>) {
    let current = CURRENT.replace(ManuallyDrop::new(record.take()));
    *record = ManuallyDrop::into_inner(current);
}

/// Has the current record noted from now on.
pub(super) fn ask_for() {
    IS_ASKED_FOR.store(true, Ordering::Relaxed);
}

/// Passes on the current record's `eventID`, if there is a record and it has one.
pub(super) fn with_event_id(run: impl FnOnce(&str)) {
    let mut current = None;
    swap(&mut current);
    if let Some(id) = current.as_ref().and_then(RecordRef::event_id) {
        run(shown(id));
    }
    swap(&mut current);
}

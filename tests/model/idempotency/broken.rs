//! The deliberately broken stores, guards and handlers.

use super::plan::{Behaviour, GuardPlan, MarksPlan, Plan};

/// What is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Subject {
    /// The crate's own, with a store that keeps its contract.
    Processor,
    /// The store's raise sets what it is given.
    RaisesUnconditionally,
    /// The store compares sequence numbers as text, without padding.
    ComparesText,
    /// The consumers of a store share their rows.
    NoConsumerInKey,
    /// The guard moves `passed`, which dead letters move, too.
    GuardsPassed,
    /// The store takes everything for applied that the stream has passed.
    TakesPassedForApplied,
    /// The store's rows expire before the queue's messages do.
    ForgetsEarly,
    /// The store keeps from where to where records are done, and not which.
    KeepsRanges,
    /// The handler raises the mark before it has its effect.
    RaisesBeforeSuccess,
    /// The store's reads of marks see writes that were never made: those of handlers that are at work.
    ReadsInvent,
    /// The same of its eventually consistent reads of what is done after a checkpoint.
    LoadsInvent,
}

impl Subject {
    pub(crate) const BROKEN: [Self; 10] = [
        Self::RaisesUnconditionally,
        Self::ComparesText,
        Self::NoConsumerInKey,
        Self::GuardsPassed,
        Self::TakesPassedForApplied,
        Self::ForgetsEarly,
        Self::KeepsRanges,
        Self::RaisesBeforeSuccess,
        Self::ReadsInvent,
        Self::LoadsInvent,
    ];

    /// The promise that it breaks, and whose violation catches it; the sound one must break none.
    pub(crate) fn breaks(self) -> Option<&'static str> {
        match self {
            Self::Processor => None,
            Self::RaisesUnconditionally => Some("P5"),
            Self::ComparesText => Some("P3"),
            Self::GuardsPassed => Some("P2"),
            Self::ForgetsEarly => Some("P7"),
            Self::NoConsumerInKey
            | Self::TakesPassedForApplied
            | Self::KeepsRanges
            | Self::RaisesBeforeSuccess
            | Self::ReadsInvent
            | Self::LoadsInvent => Some("P1"),
        }
    }

    /// Makes the plan one in which the subject can break its promise.
    pub(crate) fn adapt(self, plan: &mut Plan) {
        let settings = &mut plan.settings;
        let marks = MarksPlan { skips_stale: false, reports_unavailable: false, life: super::world::LONG_LIFE };
        match self {
            Self::Processor => return,
            Self::NoConsumerInKey => plan.consumers = 2,
            Self::KeepsRanges | Self::LoadsInvent => {
                (settings.marks, settings.guard) = (None, GuardPlan::None);
                return;
            }
            Self::GuardsPassed => {
                settings.guard = GuardPlan::Newest;
                settings.queue = true;
                // What comes back is handed to the handler, so the guard alone decides.
                settings.marks = Some(marks);
            }
            Self::ForgetsEarly => {
                settings.guard = GuardPlan::Newest;
                settings.queue = true;
                settings.marks = Some(MarksPlan { skips_stale: true, ..marks });
                plan.is_established = true;
            }
            Self::TakesPassedForApplied => settings.queue = true,
            Self::RaisesBeforeSuccess | Self::ReadsInvent => {
                // One that dies leaves the change undone.
                plan.changes.iter_mut().for_each(|change| {
                    if change.behaviour == Behaviour::Succeed {
                        change.before_millis = change.before_millis.max(5);
                    }
                });
            }
            Self::RaisesUnconditionally | Self::ComparesText => {}
        }
        settings.marks.get_or_insert(marks);
    }
}

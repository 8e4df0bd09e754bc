//! What a processor was built with. Settings are checked by the builder and never change.

use std::error::Error as StdError;
use std::num::NonZeroU16;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::Semaphore;

use super::redelivery::Completed;
use crate::dead_letter::ErasedDeadLetterQueue;
use crate::decode::DecodeError;
use crate::entity::{self, Entity, Unmatched};
use crate::event_kind::EventKind;
use crate::handler::ErasedHandler;
use crate::handler::bulk::BulkRoute;
use crate::handler::register::sealed::{Registered, Route};
use crate::handler::when_changed::Condition;
use crate::idempotency::{Idempotency, Marks};
use crate::invocation::Origin;
use crate::observe::log;
use crate::observe::metrics::Meter;
use crate::policy::{AfterDeadLetter, FailurePolicy, Lanes, RetryPolicy};
use crate::record::Record;

/// Whether a record is kept, or why that is not known.
pub(crate) type Filter = Box<dyn Fn(&Record) -> Result<bool, DecodeError> + Send + Sync>;

pub(crate) type PermanentIf = Box<dyn Fn(&(dyn StdError + Send + Sync + 'static)) -> bool + Send + Sync>;

/// All settings, shared by the processor's clones.
pub(crate) struct Settings {
    pub(crate) routes: Routes,
    pub(crate) filter: Option<Filter>,
    pub(crate) limit: Semaphore,
    /// How many permits the limit has in total.
    pub(crate) concurrency: usize,
    pub(crate) lanes: Lanes,
    pub(crate) failing: FailureRules,
    pub(crate) permanent_if: Option<PermanentIf>,
    pub(crate) handler_timeout: Option<Duration>,
    pub(crate) after_dead_letter: AfterDeadLetter,
    pub(crate) queue: Option<Arc<dyn ErasedDeadLetterQueue>>,
    /// Whether the user said that there is no queue. It may also have been forgotten.
    pub(crate) is_queue_declined: bool,
    pub(crate) deadline_margin: Option<Duration>,
    pub(crate) completed: Option<Completed>,
    pub(crate) idempotency: Option<Idempotency>,
    /// Only with a store.
    pub(crate) marks: Option<Marks>,
    pub(crate) report_batch_item_failures: bool,
    pub(crate) delete_skipped_on_redrive: bool,
    pub(crate) meter: Meter,
    pub(crate) warned: Warned,
}

/// What the log warns of once in an execution environment.
#[derive(Default)]
pub(crate) struct Warned {
    /// Lanes go by an attribute that a table's key lacks.
    pub(crate) lane_attribute: Once,
    /// What the settings mean for failed records of a stream.
    failing: Once,
    deadline_margin: Once,
}

/// Something that happens once, whichever clone of the processor comes first.
#[derive(Default)]
pub(crate) struct Once(AtomicBool);

impl Once {
    pub(crate) fn call(&self, warn: impl FnOnce()) {
        if !self.0.swap(true, Ordering::Relaxed) {
            warn();
        }
    }
}

/// The settings that decide what happens to a failed record.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FailureRules {
    pub(crate) retry: RetryPolicy,
    pub(crate) policy: FailurePolicy,
    /// The age from which on a record whose retries are exhausted becomes a dead letter.
    pub(crate) max_record_age: Duration,
    pub(crate) has_queue: bool,
}

/// How long a DynamoDB stream keeps a record.
const KEPT_BY_STREAM: Duration = Duration::from_secs(24 * 60 * 60);

impl Settings {
    /// Warns once of what the settings mean for the batches that come.
    pub(crate) fn warn(&self, origin: Origin, is_margin_too_long: bool) {
        if is_margin_too_long {
            self.warned.deadline_margin.call(|| log::margin_is_too_long(self.deadline_margin));
        }
        if origin.is_stream() {
            self.warned.failing.call(|| self.warn_of_failing());
        }
    }

    fn warn_of_failing(&self) {
        let FailureRules { has_queue, max_record_age, .. } = self.failing;
        if has_queue && max_record_age > KEPT_BY_STREAM {
            log::gives_up_too_late(max_record_age);
        }
        if !has_queue && !self.is_queue_declined {
            log::has_no_queue();
        }
    }

    /// How many handlers run now, over all invocations.
    pub(crate) fn handlers_running(&self) -> usize {
        self.concurrency.saturating_sub(self.limit.available_permits())
    }
}

/// Which handler each change goes to.
#[derive(Default)]
pub(crate) struct Routes {
    entities: Vec<EntityRoutes>,
    /// What no entity takes goes here.
    top_level: Targets,
    bulks: Vec<BulkRoute>,
    has_conditions: bool,
    pub(crate) unmatched: Unmatched,
}

/// The handlers of an entity.
struct EntityRoutes {
    entity: Entity,
    name: Arc<str>,
    /// Whether its discriminator is read: it is not the one that was read last for the entities before it.
    reads_discriminator: bool,
    targets: Targets,
}

/// Which handler each kind of change goes to.
#[derive(Default)]
struct Targets {
    insert: Option<Target>,
    modify: Option<Target>,
    remove: Option<Target>,
    other: Option<Target>,
}

/// The changes that a handler is registered for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Changes {
    Of(EventKind),
    /// Those that have no handler of their own kind.
    Other,
}

/// Where a change goes.
pub(crate) struct Target {
    pub(crate) handler: HandlerRef,
    /// All of them must hold, or the record is skipped.
    pub(crate) conditions: Vec<Condition>,
}

pub(crate) enum HandlerRef {
    Each(Box<dyn ErasedHandler>),
    /// The bulk handler of this number.
    Bulk(usize),
}

/// The number of an entity, if there is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct EntityNumber(Option<NonZeroU16>);

impl EntityNumber {
    /// Of what no entity takes.
    pub(crate) const NONE: Self = Self(None);

    fn index(self) -> Option<usize> {
        self.0.map(|number| usize::from(number.get()) - 1)
    }
}

impl Routes {
    /// How many entities there may be.
    pub(crate) const MAX_ENTITIES: usize = u16::MAX as usize;

    /// Adds an entity; its number registers handlers for it. `None` if there are too many.
    pub(crate) fn add_entity(&mut self, entity: Entity) -> Option<EntityNumber> {
        let name = Arc::from(entity.name());
        let read_before = self.entities.iter().rev().find_map(|it| it.entity.discriminator());
        let reads_discriminator = entity.discriminator().is_some() && entity.discriminator() != read_before;
        self.entities.push(EntityRoutes { entity, name, reads_discriminator, targets: Targets::default() });
        let number = u16::try_from(self.entities.len()).ok()?;
        Some(EntityNumber(NonZeroU16::new(number)))
    }

    /// Registers a handler; returns whether there is one already.
    pub(crate) fn register(&mut self, entity: EntityNumber, changes: Changes, route: Route) -> bool {
        let handler = match route.handler {
            Registered::Each(handler) => HandlerRef::Each(handler),
            Registered::Bulk(bulk) => {
                self.bulks.push(bulk);
                HandlerRef::Bulk(self.bulks.len() - 1)
            }
        };
        let targets = match entity.index() {
            Some(index) => &mut self.entities[index].targets,
            None => &mut self.top_level,
        };
        let slot = match changes {
            Changes::Of(EventKind::Insert) => &mut targets.insert,
            Changes::Of(EventKind::Modify) => &mut targets.modify,
            Changes::Of(EventKind::Remove) => &mut targets.remove,
            Changes::Other => &mut targets.other,
        };
        self.has_conditions |= !route.conditions.is_empty();
        slot.replace(Target { handler, conditions: route.conditions }).is_some()
    }

    /// Where a change of an entity goes.
    #[inline]
    pub(crate) fn target(&self, entity: EntityNumber, kind: EventKind) -> Option<&Target> {
        match entity.index() {
            Some(index) => self.entities[index].targets.of(kind),
            None => self.top_level.of(kind),
        }
    }

    /// Whether a change of this kind has a handler in any entity or at the top level.
    pub(crate) fn takes(&self, kind: EventKind) -> bool {
        self.top_level.of(kind).is_some() || self.entities.iter().any(|it| it.targets.of(kind).is_some())
    }

    /// Whether a handler has a condition.
    pub(crate) fn has_conditions(&self) -> bool {
        self.has_conditions
    }

    pub(crate) fn has_entities(&self) -> bool {
        !self.entities.is_empty()
    }

    /// The first entity that takes a record; an error if that is not known.
    pub(crate) fn entity_of(&self, record: &Record) -> Result<EntityNumber, DecodeError> {
        let mut value = None;
        for (number, EntityRoutes { entity, reads_discriminator, .. }) in (1..).zip(&self.entities) {
            if *reads_discriminator && let Some(discriminator) = entity.discriminator() {
                value = discriminator.value(record)?;
            }
            if entity.takes(record, value.as_ref()) {
                return Ok(EntityNumber(NonZeroU16::new(number)));
            }
        }
        Ok(EntityNumber::NONE)
    }

    /// The name of an entity.
    pub(crate) fn name_of(&self, entity: EntityNumber) -> Option<&Arc<str>> {
        entity.index().map(|index| &self.entities[index].name)
    }

    /// The entities in the order in which they are asked.
    pub(crate) fn entities(&self) -> impl Iterator<Item = &Entity> {
        self.entities.iter().map(|it| &it.entity)
    }

    /// The bulk handlers by their numbers.
    pub(crate) fn bulks(&self) -> &[BulkRoute] {
        &self.bulks
    }

    /// All conditions.
    pub(crate) fn conditions(&self) -> impl Iterator<Item = &Condition> {
        let targets = self.entities.iter().map(|it| &it.targets).chain([&self.top_level]);
        targets.flat_map(Targets::all).flat_map(|target| &target.conditions)
    }

    pub(crate) fn is_empty(&self) -> bool {
        EventKind::ALL.into_iter().all(|kind| !self.takes(kind))
    }

    /// See [`StreamProcessor::filter_criteria`](crate::StreamProcessor::filter_criteria).
    pub(crate) fn filter_criteria(&self) -> Option<String> {
        if self.unmatched == Unmatched::DeadLetter {
            return None;
        }
        let entities = self.entities.iter().map(|it| (&it.entity, it.targets.kinds()));
        entity::filter_criteria(entities, &self.top_level.kinds())
    }
}

impl Targets {
    #[inline]
    fn of(&self, kind: EventKind) -> Option<&Target> {
        let own = match kind {
            EventKind::Insert => &self.insert,
            EventKind::Modify => &self.modify,
            EventKind::Remove => &self.remove,
        };
        own.as_ref().or(self.other.as_ref())
    }

    /// The kinds that have a handler.
    fn kinds(&self) -> Vec<EventKind> {
        EventKind::ALL.into_iter().filter(|kind| self.of(*kind).is_some()).collect()
    }

    fn all(&self) -> impl Iterator<Item = &Target> {
        [&self.insert, &self.modify, &self.remove, &self.other].into_iter().flatten()
    }
}

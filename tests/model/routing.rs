//! Which handler a record goes to, as the documentation of entities, conditions and filters says.

use lambda_streams::{Entity, EntityValue, Number, SkipReason};

use crate::plan::{BulkPlan, ProcessorPlan, RecordPlan, Shape, Takes};

/// The key attributes, the attribute that makes entities, and the one that conditions watch.
pub(crate) const PARTITION: &str = "pk";
pub(crate) const SORT: &str = "sk";
pub(crate) const TYPE: &str = "type";
pub(crate) const WATCHED: &str = "watched";

/// The handlers of a processor. By default there are no entities, and the top level takes insertions and modifications.
#[derive(Debug, Clone, Default)]
pub(crate) struct RoutingPlan {
    /// In the order in which they are asked.
    pub(crate) entities: Vec<EntityPlan>,
    pub(crate) top_level: HandlersPlan,
    /// Whether what no handler takes becomes a dead letter, unless an entity does.
    pub(crate) unmatched_fails: bool,
    /// The entity that has the bulk handler, where there is one; `None` is the top level.
    pub(crate) bulk_at: Option<usize>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct EntityPlan {
    pub(crate) told_by: ToldBy,
    pub(crate) handlers: HandlersPlan,
}

/// How an entity is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ToldBy {
    Table(u8),
    /// The partition, which all keys have as a text.
    Partition(u8),
    /// The sort key, a number that has several spellings.
    SortKey(u8),
    /// The type in the image.
    Type(u8),
}

/// A kind of change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Insert,
    Modify,
    Remove,
}

impl Kind {
    pub(crate) const ALL: [Self; 3] = [Self::Insert, Self::Modify, Self::Remove];
}

/// For which kinds of change there is a handler of one record.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HandlersPlan {
    pub(crate) insert: bool,
    pub(crate) modify: bool,
    pub(crate) remove: bool,
    /// Whether modifications only reach their handler where the watched attribute changes.
    pub(crate) watches: bool,
}

impl Default for HandlersPlan {
    fn default() -> Self {
        Self { insert: true, modify: true, remove: false, watches: false }
    }
}

impl HandlersPlan {
    pub(crate) const NONE: Self = Self { insert: false, modify: false, remove: false, watches: false };

    pub(crate) fn has(self, kind: Kind) -> bool {
        match kind {
            Kind::Insert => self.insert,
            Kind::Modify => self.modify,
            Kind::Remove => self.remove,
        }
    }
}

impl ToldBy {
    pub(crate) fn entity(self) -> Entity {
        let number = |number: u8| Number::from(u64::from(number));
        let entity = match self {
            Self::Table(table) => Entity::table(format!("t{table}")),
            Self::Partition(partition) => Entity::key_prefix(PARTITION, partition.to_string()),
            Self::SortKey(item) => Entity::key_equals(SORT, EntityValue::N(number(item))),
            Self::Type(of) => Entity::attribute(TYPE, of.to_string()),
        };
        entity.named(self.name())
    }

    pub(crate) fn name(self) -> String {
        format!("{self:?}")
    }

    /// Whether a record is of the entity, if that is known.
    fn takes(self, record: &RecordPlan, kind: Kind) -> Option<bool> {
        let RecordPlan { table, item, shape, images, .. } = record;
        let are_keys_read = matches!(self, Self::Partition(_) | Self::SortKey(_));
        if are_keys_read && *shape == Shape::KeysNotScalar {
            return None;
        }
        let (has_image, found) = match kind {
            Kind::Insert | Kind::Modify => (images.missing.has_new(), images.new_type),
            Kind::Remove => (images.missing.has_old(), images.old_type),
        };
        match self {
            Self::Table(name) => Some(name == *table),
            Self::Partition(partition) => Some(partition == item % 2),
            Self::SortKey(number) => Some(number == *item),
            Self::Type(of) => (has_image && *shape != Shape::TypeMalformed).then_some(found == Some(of)),
        }
    }
}

/// What comes of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Route {
    To(Destination),
    Skipped(SkipReason),
    /// For good, before any handler.
    Fails(Fault),
}

/// Why no handler gets a record that is not skipped either.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    Malformed,
    EntityUntold,
    ConditionUntold,
    Unmatched,
    /// Its lane is unknown.
    Keys,
}

/// A handler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Destination {
    /// `None` is the top level.
    pub(crate) entity: Option<usize>,
    /// Of which change; `None` is the bulk handler.
    pub(crate) kind: Option<Kind>,
}

impl Route {
    pub(crate) fn is_bulk(self) -> bool {
        matches!(self, Self::To(Destination { kind: None, .. }))
    }
}

impl RecordPlan {
    /// Its kind of change, unless it is malformed.
    pub(crate) fn kind(&self) -> Option<Kind> {
        use Shape::*;
        match self.shape {
            Good | ImageMalformed | TypeMalformed | KeysNotScalar | SequenceRepeated => Some(Kind::Insert),
            Modified | FilteredOut => Some(Kind::Modify),
            Removed => Some(Kind::Remove),
            EventNameMissing | EventNameUnknown | DynamodbNull | KeysMissing | SequenceMissing | SequenceNull
            | SequenceEmpty | SequenceNotDigits | Text | List | Number => None,
        }
    }
}

impl ProcessorPlan {
    /// What comes of a record, if its sequence number is its own.
    pub(crate) fn route(&self, record: &RecordPlan) -> Route {
        let Some(kind) = record.kind() else { return Route::Fails(Fault::Malformed) };
        if !self.takes(kind) && !self.routing.unmatched_fails {
            return Route::Skipped(SkipReason::NoHandler);
        }
        let Some(entity) = self.find_entity(record, kind) else { return Route::Fails(Fault::EntityUntold) };
        let Some(destination) = self.handler(entity, kind) else {
            return match entity {
                Some(_) => Route::Skipped(SkipReason::NoHandler),
                None if self.routing.unmatched_fails => Route::Fails(Fault::Unmatched),
                None => Route::Skipped(SkipReason::Unmatched),
            };
        };
        // The filter is asked before the condition.
        if record.shape == Shape::FilteredOut {
            return Route::Skipped(SkipReason::Filtered);
        }
        if kind == Kind::Modify && self.has_condition(destination) {
            if !record.images.missing.has_old() || !record.images.missing.has_new() {
                return Route::Fails(Fault::ConditionUntold);
            }
            if !record.images.watched_changes {
                return Route::Skipped(SkipReason::Unchanged);
            }
        }
        if record.shape == Shape::KeysNotScalar { Route::Fails(Fault::Keys) } else { Route::To(destination) }
    }

    /// The entity that the report must name, of a record that is neither malformed nor redelivered.
    pub(crate) fn entity_of(&self, record: &RecordPlan) -> Option<usize> {
        let kind = record.kind()?;
        let is_asked = self.takes(kind) || self.routing.unmatched_fails;
        self.find_entity(record, kind).flatten().filter(|_| is_asked)
    }

    /// Whether a record decodes into what its handler takes.
    pub(crate) fn decodes(&self, record: &RecordPlan) -> bool {
        let takes = self.bulk.as_ref().map(|bulk| bulk.takes);
        let kind = match (self.route(record), takes) {
            (Route::To(Destination { kind: None, .. }), Some(Takes::Inserts)) => Some(Kind::Insert),
            (Route::To(Destination { kind, .. }), _) => kind,
            _ => None,
        };
        let missing = record.images.missing;
        let has_images = match kind {
            // Changes and records hold the images that there are.
            None => true,
            Some(Kind::Insert) => missing.has_new(),
            Some(Kind::Modify) => missing.has_new() && missing.has_old(),
            Some(Kind::Remove) => missing.has_old(),
        };
        let is_malformed = matches!(record.shape, Shape::ImageMalformed | Shape::TypeMalformed) && missing.has_new();
        has_images && !is_malformed
    }

    /// Whether a record fails for good, whatever its handler does.
    pub(crate) fn fails(&self, record: &RecordPlan) -> bool {
        match self.route(record) {
            Route::To(_) => !self.decodes(record),
            Route::Skipped(_) => false,
            Route::Fails(_) => true,
        }
    }

    pub(crate) fn has_no_handler(&self) -> bool {
        Kind::ALL.into_iter().all(|kind| !self.takes(kind))
    }

    /// The handlers of one record that an entity or the top level has.
    pub(crate) fn handlers(&self, entity: Option<usize>) -> HandlersPlan {
        entity.map_or(self.routing.top_level, |at| self.routing.entities[at].handlers)
    }

    /// The bulk handler, if an entity or the top level has it.
    pub(crate) fn bulk_of(&self, entity: Option<usize>) -> Option<&BulkPlan> {
        self.bulk.as_ref().filter(|_| self.routing.bulk_at == entity)
    }

    /// Whether any handler takes changes of this kind.
    fn takes(&self, kind: Kind) -> bool {
        let entities = (0..self.routing.entities.len()).map(Some);
        entities.chain([None]).any(|entity| self.handler(entity, kind).is_some())
    }

    /// The first entity that takes a record, if that is known.
    fn find_entity(&self, record: &RecordPlan, kind: Kind) -> Option<Option<usize>> {
        for (at, entity) in self.routing.entities.iter().enumerate() {
            if entity.told_by.takes(record, kind)? {
                return Some(Some(at));
            }
        }
        Some(None)
    }

    /// The handler that an entity or the top level has for this kind of change.
    fn handler(&self, entity: Option<usize>, kind: Kind) -> Option<Destination> {
        let own = self.handlers(entity).has(kind);
        let is_bulk = self.bulk_of(entity).is_some_and(|bulk| match kind {
            Kind::Insert => true,
            Kind::Modify | Kind::Remove => bulk.takes != Takes::Inserts && !own,
        });
        (own || is_bulk).then_some(Destination { entity, kind: Some(kind).filter(|_| !is_bulk) })
    }

    fn has_condition(&self, destination: Destination) -> bool {
        let can_have = match (destination.kind, &self.bulk) {
            (None, Some(bulk)) => bulk.is_of_changes(),
            _ => true,
        };
        can_have && self.handlers(destination.entity).watches
    }
}

//! The types of items in a single table: how a record's type is told from its keys, one attribute, or its table.

mod criteria;

use std::fmt;

use crate::decode::{self, DecodeError, KeyValue, Number};
use crate::event_kind::EventKind;
use crate::record::Record;

pub(crate) use self::criteria::filter_criteria;

/// A type of items in a table that holds several, and how to tell its records.
///
/// [`ProcessorBuilder::entity`](crate::ProcessorBuilder::entity) registers handlers for it. It is plain data: comparable and printable.
///
/// ```
/// use lambda_streams::Entity;
///
/// let order = Entity::key_prefix("sk", "ORDER#");
/// assert_eq!(order.to_string(), r#"key attribute `sk` starts with "ORDER#""#);
/// assert_eq!(order.name(), "ORDER#");
/// assert_eq!(Entity::attribute("entity", "customer").named("customer").name(), "customer");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entity {
    matcher: Matcher,
    name: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Matcher {
    KeyPrefix { key: String, prefix: String },
    Key { key: String, value: EntityValue },
    Attribute { attribute: String, value: EntityValue },
    Table(String),
}

/// The value of a key or of an attribute by which an [`Entity`] is told: a text (`S`) or a number (`N`).
///
/// ```
/// use lambda_streams::{Entity, EntityValue, Number};
///
/// assert_eq!(EntityValue::from("order"), EntityValue::S("order".to_owned()));
/// let version = Entity::key_equals("version", Number::from(0_u64));
/// assert_eq!(version, Entity::key_equals("version", EntityValue::N(Number::from(0_u64))));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntityValue {
    /// A text.
    S(String),
    /// A number, however it is spelled.
    N(Number),
}

impl Entity {
    /// Items whose key attribute `key` is a text that starts with `prefix`.
    pub fn key_prefix(key: impl Into<String>, prefix: impl Into<String>) -> Self {
        Self::of(Matcher::KeyPrefix { key: key.into(), prefix: prefix.into() })
    }

    /// Items whose key attribute `key` has this value.
    pub fn key_equals(key: impl Into<String>, value: impl Into<EntityValue>) -> Self {
        Self::of(Matcher::Key { key: key.into(), value: value.into() })
    }

    /// Items whose top-level attribute `attribute` has this value.
    ///
    /// It is read from the item after the change of an INSERT or MODIFY, and from the item before the change of a REMOVE. A record
    /// without that image has failed, with an error that names the stream's view type, and so has one in which the attribute is malformed.
    /// One without the attribute is of another entity. An attribute whose value is changed moves its item from one entity to another,
    /// without a removal.
    pub fn attribute(attribute: impl Into<String>, value: impl Into<EntityValue>) -> Self {
        Self::of(Matcher::Attribute { attribute: attribute.into(), value: value.into() })
    }

    /// Items of this table, where one function has the streams of several.
    pub fn table(name: impl Into<String>) -> Self {
        Self::of(Matcher::Table(name.into()))
    }

    /// Sets the name by which reports, metrics and log lines call it. Default: the prefix, the value, or the table's name.
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// The name by which reports, metrics and log lines call it.
    pub fn name(&self) -> &str {
        self.name.as_deref().unwrap_or_else(|| match &self.matcher {
            Matcher::KeyPrefix { prefix: name, .. } | Matcher::Table(name) => name,
            Matcher::Key { value, .. } | Matcher::Attribute { value, .. } => value.text(),
        })
    }

    fn of(matcher: Matcher) -> Self {
        Self { matcher, name: None }
    }

    /// Whether an entity that is asked before this one takes all of its records.
    pub(crate) fn is_shadowed_by(&self, earlier: &Self) -> bool {
        match (&earlier.matcher, &self.matcher) {
            (Matcher::KeyPrefix { key: earlier, prefix }, Matcher::KeyPrefix { key, prefix: longer }) => {
                earlier == key && longer.starts_with(prefix.as_str())
            }
            (Matcher::KeyPrefix { key: earlier, prefix }, Matcher::Key { key, value: EntityValue::S(text) }) => {
                earlier == key && text.starts_with(prefix.as_str())
            }
            (earlier, matcher) => earlier == matcher,
        }
    }

    /// The attribute by which its records are told; `None` for a table's entity.
    pub(crate) fn discriminator(&self) -> Option<Discriminator<'_>> {
        match &self.matcher {
            Matcher::KeyPrefix { key, .. } | Matcher::Key { key, .. } => Some(Discriminator::Key(key)),
            Matcher::Attribute { attribute, .. } => Some(Discriminator::Attribute(attribute)),
            Matcher::Table(_) => None,
        }
    }

    /// Whether a record is of this entity, given the value of its discriminator.
    pub(crate) fn takes(&self, record: &Record, value: Option<&KeyValue<'_>>) -> bool {
        match (&self.matcher, value) {
            (Matcher::Table(name), _) => record.table_name() == Some(name),
            (Matcher::KeyPrefix { prefix, .. }, Some(found)) => {
                found.text().is_some_and(|text| text.starts_with(prefix.as_str()))
            }
            (Matcher::Key { value, .. } | Matcher::Attribute { value, .. }, Some(found)) => value.is(found),
            (_, None) => false,
        }
    }

    /// Whether an item's image is looked at.
    fn reads_image(&self) -> bool {
        matches!(self.matcher, Matcher::Attribute { .. })
    }
}

impl fmt::Display for Entity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.matcher {
            Matcher::KeyPrefix { key, prefix } => write!(f, "key attribute `{key}` starts with {prefix:?}"),
            Matcher::Key { key, value } => write!(f, "key attribute `{key}` is {value}"),
            Matcher::Attribute { attribute, value } => write!(f, "attribute `{attribute}` is {value}"),
            Matcher::Table(name) => write!(f, "table `{name}`"),
        }
    }
}

impl EntityValue {
    fn text(&self) -> &str {
        match self {
            Self::S(text) => text,
            Self::N(number) => number.as_str(),
        }
    }

    fn is(&self, value: &KeyValue<'_>) -> bool {
        match self {
            Self::S(text) => value.text().is_some_and(|found| found == text),
            Self::N(number) => value.is_number(number.as_str()),
        }
    }
}

impl fmt::Display for EntityValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::S(text) => write!(f, "{text:?}"),
            Self::N(number) => write!(f, "{number}"),
        }
    }
}

impl From<&str> for EntityValue {
    fn from(text: &str) -> Self {
        Self::S(text.to_owned())
    }
}

impl From<String> for EntityValue {
    fn from(text: String) -> Self {
        Self::S(text)
    }
}

impl From<Number> for EntityValue {
    fn from(number: Number) -> Self {
        Self::N(number)
    }
}

/// What happens to a record that no entity takes, and that has no handler of its kind at the top level either.
///
/// ```
/// use lambda_streams::Unmatched;
///
/// assert_eq!(Unmatched::default(), Unmatched::Skip);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Unmatched {
    /// It is [skipped](crate::SkipReason::Unmatched), and counted. The default.
    #[default]
    Skip,
    /// It has failed permanently, with the error kind [`Unmatched`](crate::ErrorKind::Unmatched): it becomes a dead letter. The
    /// processor needs a dead-letter queue, and a failure policy other than [`ReportAll`](crate::FailurePolicy::ReportAll).
    DeadLetter,
}

/// The attribute by whose value the entity of a record is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Discriminator<'a> {
    /// One of the key.
    Key(&'a str),
    /// One of the item's image.
    Attribute(&'a str),
}

impl Discriminator<'_> {
    /// Its value; `None` if the record does not have it.
    ///
    /// An error if that cannot be told: the keys or the image are malformed, or the record does not have the image.
    pub(crate) fn value<'a>(&self, record: &'a Record) -> Result<Option<KeyValue<'a>>, DecodeError> {
        match self {
            Self::Key(name) => decode::find_key_value(record.keys_json(), name).map_err(|error| error.within("Keys")),
            Self::Attribute(name) => image(record)?.attribute(name),
        }
    }
}

/// The image of an item as it is, or as it was when it was deleted.
struct Image<'a> {
    json: &'a str,
    member: &'static str,
}

fn image(record: &Record) -> Result<Image<'_>, DecodeError> {
    let (json, member) = match record.kind() {
        EventKind::Insert | EventKind::Modify => (record.new_image_json(), "NewImage"),
        EventKind::Remove => (record.old_image_json(), "OldImage"),
    };
    let json = json.ok_or_else(|| DecodeError::missing_image(member, record.kind(), record.view_type()))?;
    Ok(Image { json, member })
}

impl<'a> Image<'a> {
    fn attribute(&self, name: &str) -> Result<Option<KeyValue<'a>>, DecodeError> {
        decode::scalar_attribute(self.json, name).map_err(|error| error.within(self.member))
    }
}

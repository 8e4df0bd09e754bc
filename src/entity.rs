//! The types of items in a single table: how its keys, one attribute, or its table decide a record's type.

mod criteria;

use std::fmt;

use crate::decode::{self, DecodeError, KeyValue, Number};
use crate::event_kind::EventKind;
use crate::record::Record;

pub(crate) use self::criteria::filter_criteria;

/// One type of items in a table that holds several types, and how to recognize its records.
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

/// The value of a key or of an attribute that identifies an [`Entity`]: a string (`S`) or a number (`N`).
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
    /// A string.
    S(String),
    /// A number. Its spelling does not matter.
    N(Number),
}

impl Entity {
    /// Items whose key attribute `key` is a string that starts with `prefix`.
    ///
    /// ```
    /// use lambda_streams::Entity;
    ///
    /// assert_eq!(Entity::key_prefix("sk", "ORDER#").name(), "ORDER#");
    /// ```
    pub fn key_prefix(key: impl Into<String>, prefix: impl Into<String>) -> Self {
        Self::of(Matcher::KeyPrefix { key: key.into(), prefix: prefix.into() })
    }

    /// Items whose key attribute `key` has this value.
    ///
    /// ```
    /// use lambda_streams::{Entity, Number};
    ///
    /// assert_eq!(Entity::key_equals("sk", "PROFILE").to_string(), r#"key attribute `sk` is "PROFILE""#);
    /// let current = Entity::key_equals("version", Number::from(0_u64)).named("current");
    /// assert_eq!(current.name(), "current");
    /// ```
    pub fn key_equals(key: impl Into<String>, value: impl Into<EntityValue>) -> Self {
        Self::of(Matcher::Key { key: key.into(), value: value.into() })
    }

    /// Items whose top-level attribute `attribute` has this value.
    ///
    /// In an INSERT or a MODIFY the attribute is read from the item after the change, and in a REMOVE from the item before it. A record without
    /// that image fails, with an error that names the stream's view type; so does a record in which the attribute is malformed. A record without
    /// the attribute does not belong to the entity.
    ///
    /// A change of the attribute's value moves its item from one entity to another. Neither of them sees a removal.
    ///
    /// ```
    /// use lambda_streams::Entity;
    ///
    /// assert_eq!(Entity::attribute("entity", "customer").name(), "customer");
    /// ```
    pub fn attribute(attribute: impl Into<String>, value: impl Into<EntityValue>) -> Self {
        Self::of(Matcher::Attribute { attribute: attribute.into(), value: value.into() })
    }

    /// Items of this table, for a function with the streams of several tables.
    ///
    /// ```
    /// use lambda_streams::Entity;
    ///
    /// assert_eq!(Entity::table("orders").name(), "orders");
    /// ```
    pub fn table(name: impl Into<String>) -> Self {
        Self::of(Matcher::Table(name.into()))
    }

    /// Sets the name that reports, metrics and log lines use. Default: the prefix, the value, or the table's name.
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// The name that reports, metrics and log lines use.
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

    /// The attribute that identifies its records; `None` for a table's entity.
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

/// What happens to a record that no entity takes, and whose kind has no handler at the top level either.
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
    /// It fails permanently, with the error kind [`Unmatched`](crate::ErrorKind::Unmatched), and becomes a dead letter. The processor needs a
    /// dead-letter queue, and a failure policy other than [`ReportAll`](crate::FailurePolicy::ReportAll).
    DeadLetter,
}

/// The attribute whose value decides the entity of a record.
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
    /// An error if that is not known: the keys or the image are malformed, or the record does not have the image.
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

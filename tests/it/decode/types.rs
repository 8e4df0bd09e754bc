//! Types over all of serde's data model.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_bytes::ByteBuf;

pub(super) trait Visit {
    /// Called once for each type, with its name.
    fn visit<T: serde::de::DeserializeOwned + PartialEq + fmt::Debug>(&mut self, name: &'static str);
}

/// Goes through every type of the table.
pub(super) fn each_type(visit: &mut impl Visit) {
    macro_rules! each {
        ($($ty:ty),* $(,)?) => {$( visit.visit::<$ty>(stringify!($ty)); )*};
    }
    each!(
        bool,
        i8,
        i16,
        i32,
        i64,
        u8,
        u16,
        u32,
        u64,
        usize,
        f32,
        f64,
        char,
        String,
        (),
        Unit,
        Box<str>,
        Cow<'static, str>
    );
    each!(Option<u8>, Option<String>, Option<Option<u8>>, Option<()>, Option<Plain>, Option<Vec<u8>>, PhantomData<u8>);
    each!(New<u8>, New<String>, New<Option<u8>>, New<Vec<u8>>, New<ByteBuf>, New<New<i64>>, New<Plain>);
    each!(ByteBuf, Vec<ByteBuf>, Option<ByteBuf>, Vec<Option<ByteBuf>>, Vec<New<ByteBuf>>, std::ffi::CString);
    each!(
        Vec<u8>,
        Vec<i64>,
        Vec<f64>,
        Vec<f32>,
        Vec<String>,
        Vec<char>,
        Vec<bool>,
        Vec<()>,
        Vec<Option<u8>>,
        Vec<New<u8>>
    );
    each!(Vec<New<String>>, Vec<Vec<u8>>, Vec<Plain>, Vec<Outer>, Vec<Any>, Vec<IgnoredAnyEq>, BTreeSet<String>);
    each!(BTreeSet<u8>, (u8,), (u8, u8), (String, u8), (u8, String, bool), [u8; 2], [String; 1], Pair, ((), ()));
    each!(BTreeMap<String, u8>, BTreeMap<String, String>, HashMap<String, Any>, BTreeMap<char, Any>, BTreeMap<bool, Any>);
    each!(BTreeMap<u8, Any>, BTreeMap<i64, Any>, BTreeMap<u128, Any>, BTreeMap<i128, Any>, BTreeMap<New<u8>, Any>);
    each!(BTreeMap<Choice, Any>, BTreeMap<UntaggedKey, Any>, BTreeMap<Option<String>, Any>, BTreeMap<Vec<u8>, Any>);
    each!(BTreeMap<String, ()>, BTreeMap<String, Option<String>>, BTreeMap<String, IgnoredAnyEq>, BTreeMap<ByteBuf, Any>);
    each!(Plain, Defaulted, Strict, Renamed, Flat, FlatTyped, FlatChoice, FlatInternal, Nested, Blob);
    each!(Choice, Outer, Internal, Adjacent, Untagged, UntaggedNumbers, Other, Fallback, Result<u8, String>);
    each!(Any, IgnoredAnyEq, serde_json::Value, Swallows, Vec<Swallows>, BTreeMap<String, Swallows>, StopsEarly);
    each!(TakesOne, SkipsValues, Ignorant, Vec<Ignorant>, Persistent, std::num::NonZeroU8, std::time::Duration);
    each!(std::net::Ipv4Addr, std::path::PathBuf, std::ops::Range<u8>, std::num::Wrapping<u8>, std::time::SystemTime);
}

#[derive(Debug, PartialEq, serde::Deserialize)]
pub(super) struct Unit;

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, serde::Deserialize)]
pub(super) struct New<T>(T);

#[derive(Debug, PartialEq, serde::Deserialize)]
pub(super) struct Pair(u8, u8);

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, serde::Deserialize)]
pub(super) enum Choice {
    Unit,
    Other,
    #[serde(rename = "1")]
    One,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, serde::Deserialize)]
#[serde(untagged)]
pub(super) enum UntaggedKey {
    Text(String),
}

#[derive(Debug, PartialEq, PartialOrd, serde::Deserialize)]
pub(super) struct Plain {
    a: u8,
    b: Option<String>,
}

#[derive(Debug, PartialEq, PartialOrd, Default, serde::Deserialize)]
#[serde(default)]
pub(super) struct Defaulted {
    a: i64,
    b: Vec<String>,
    c: f32,
}

#[derive(Debug, PartialEq, PartialOrd, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Strict {
    a: u8,
    #[serde(default)]
    b: Option<Any>,
}

#[derive(Debug, PartialEq, PartialOrd, serde::Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(super) struct Renamed {
    #[serde(alias = "a")]
    first: Any,
    #[serde(skip)]
    second: u8,
}

#[derive(Debug, PartialEq, PartialOrd, serde::Deserialize)]
pub(super) struct Flat {
    a: Any,
    #[serde(flatten)]
    rest: BTreeMap<String, Any>,
}

#[derive(Debug, PartialEq, PartialOrd, serde::Deserialize)]
pub(super) struct FlatTyped {
    #[serde(flatten)]
    plain: Plain,
    #[serde(flatten)]
    more: Option<Defaulted>,
}

#[derive(Debug, PartialEq, PartialOrd, serde::Deserialize)]
pub(super) struct FlatChoice {
    #[serde(flatten)]
    choice: Outer,
}

#[derive(Debug, PartialEq, PartialOrd, serde::Deserialize)]
pub(super) struct FlatInternal {
    a: Option<Any>,
    #[serde(flatten)]
    internal: Internal,
}

#[derive(Debug, PartialEq, PartialOrd, serde::Deserialize)]
pub(super) struct Nested {
    a: Box<Option<Nested>>,
    b: Option<Outer>,
    c: Option<Vec<Plain>>,
}

#[derive(Debug, PartialEq, PartialOrd, serde::Deserialize)]
pub(super) struct Blob {
    #[serde(with = "serde_bytes")]
    a: Vec<u8>,
    #[serde(default)]
    b: Option<ByteBuf>,
}

#[derive(Debug, PartialEq, PartialOrd, serde::Deserialize)]
pub(super) enum Outer {
    Unit,
    Newtype(u8),
    Text(String),
    Tuple(u8, u8),
    Struct { a: u8 },
    Map(BTreeMap<String, u8>),
    Inner(Choice),
}

#[derive(Debug, PartialEq, PartialOrd, serde::Deserialize)]
#[serde(tag = "type")]
pub(super) enum Internal {
    Unit,
    Struct { a: u8 },
    Newtype(Plain),
    Map(BTreeMap<String, Any>),
}

#[derive(Debug, PartialEq, PartialOrd, serde::Deserialize)]
#[serde(tag = "type", content = "a")]
pub(super) enum Adjacent {
    Unit,
    Newtype(u8),
    Tuple(u8, String),
    Struct { a: u8 },
}

#[derive(Debug, PartialEq, PartialOrd, serde::Deserialize)]
#[serde(untagged)]
pub(super) enum Untagged {
    Unit,
    Flag(bool),
    Small(u8),
    Text(String),
    Bytes(ByteBuf),
    Struct { a: u8 },
    List(Vec<Untagged>),
    Float(f64),
}

#[derive(Debug, PartialEq, PartialOrd, serde::Deserialize)]
#[serde(untagged)]
pub(super) enum UntaggedNumbers {
    Signed(i64),
    Unsigned(u64),
    Float(f64),
    Pair(u8, u8),
    Option(Option<Choice>),
}

#[derive(Debug, PartialEq, PartialOrd, serde::Deserialize)]
pub(super) enum Other {
    Unit,
    Newtype(u8),
    #[serde(other)]
    Unknown,
}

#[derive(Debug, PartialEq, PartialOrd, serde::Deserialize)]
#[serde(untagged)]
pub(super) enum Fallback {
    Outer(Outer),
    Internal(Internal),
    Any(Any),
}

/// What `deserialize_any` shows, down to which of serde's types it is.
#[derive(Debug, PartialEq, PartialOrd)]
pub(super) enum Any {
    Unit,
    Bool(bool),
    I64(i64),
    U64(u64),
    F64(f64),
    Text(String),
    Bytes(Vec<u8>),
    List(Vec<Any>),
    Map(BTreeMap<String, Any>),
}

struct AnyVisitor;

impl<'de> Visitor<'de> for AnyVisitor {
    type Value = Any;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_unit<E>(self) -> Result<Any, E> {
        Ok(Any::Unit)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Any, E> {
        Ok(Any::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Any, E> {
        Ok(Any::I64(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Any, E> {
        Ok(Any::U64(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Any, E> {
        Ok(Any::F64(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Any, E> {
        Ok(Any::Text(value.to_owned()))
    }

    fn visit_bytes<E>(self, value: &[u8]) -> Result<Any, E> {
        Ok(Any::Bytes(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Any, A::Error> {
        let mut list = Vec::new();
        while let Some(element) = seq.next_element()? {
            list.push(element);
        }
        Ok(Any::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Any, A::Error> {
        let mut entries = BTreeMap::new();
        while let Some((name, value)) = map.next_entry()? {
            entries.insert(name, value);
        }
        Ok(Any::Map(entries))
    }
}

impl<'de> Deserialize<'de> for Any {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyVisitor)
    }
}

#[derive(Debug, serde::Deserialize)]
pub(super) struct IgnoredAnyEq(IgnoredAny);

impl PartialEq for IgnoredAnyEq {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

/// Takes a default for whatever does not fit, and leaves the deserializer in the middle of it.
#[derive(Debug, PartialEq, Default)]
pub(super) struct Swallows(Option<Box<Nested>>);

impl<'de> Deserialize<'de> for Swallows {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Nested::deserialize(deserializer).map_or_else(|_| Self::default(), |nested| Self(Some(Box::new(nested)))))
    }
}

/// Does not look at its value at all.
#[derive(Debug, PartialEq)]
pub(super) struct Ignorant;

impl<'de> Deserialize<'de> for Ignorant {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Ok(Self)
    }
}

macro_rules! with_visitor {
    ($($(#[$doc:meta])* $name:ident($value:ty) by $method:ident { $($visit:item)+ })*) => {$(
        $(#[$doc])*
        #[derive(Debug, PartialEq)]
        pub(super) struct $name($value);

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct This;
                impl<'de> Visitor<'de> for This {
                    type Value = $name;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str(stringify!($name))
                    }
                    $($visit)+
                }
                deserializer.$method(This)
            }
        }
    )*};
}

with_visitor! {
    /// Takes the first element of a sequence and leaves the rest.
    StopsEarly(Option<Any>) by deserialize_seq {
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<StopsEarly, A::Error> {
        Ok(StopsEarly(seq.next_element()?))
    }
    }

    /// Leaves a map before its first value.
    TakesOne(bool) by deserialize_map {
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<TakesOne, A::Error> {
        Ok(TakesOne(map.next_key::<String>()?.is_some()))
    }
    }

    /// Asks for names only.
    SkipsValues(BTreeSet<String>) by deserialize_map {
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<SkipsValues, A::Error> {
        let mut names = BTreeSet::new();
        while let Some(name) = map.next_key()? {
            names.insert(name);
        }
        Ok(SkipsValues(names))
    }
    }

    /// Goes on after every error.
    Persistent(Vec<Result<Plain, ()>>) by deserialize_any {
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Persistent, A::Error> {
        let mut all = Vec::new();
        while let Some(next) = seq.next_element().transpose() {
            all.push(next.map_err(drop));
        }
        Ok(Persistent(all))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Persistent, A::Error> {
        let mut all = BTreeMap::new();
        while let Some(name) = map.next_key::<String>().transpose() {
            let Ok(name) = name else { continue };
            all.insert(name, map.next_value().map_err(drop));
        }
        Ok(Persistent(all.into_values().collect()))
    }
    }
}

//! Encodes values of any `Serialize` type as DynamoDB JSON: the way back of the decoder, for the items of tests.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::ser::{self, Error as _, Serialize, Serializer};
use serde_json::{Error, Map, Value, json};

use crate::decode::number;

/// Makes an item from a value of your own type: it serializes to the DynamoDB JSON of the value.
///
/// The data model is that of [`from_image`](crate::from_image), so what is encoded here decodes to the same value:
///
/// | serde's type | DynamoDB's type |
/// |---|---|
/// | strings, characters, variants without content | `S` |
/// | integers, floats, [`Number`](crate::Number), fields with [`number`](crate::number) | `N` |
/// | bytes ([`serde_bytes`](https://docs.rs/serde_bytes)) | `B` |
/// | structs, maps | `M` |
/// | variants with content | `M` of one attribute, whose name is the variant |
/// | sequences, tuples | `L` |
/// | `None`, `()` | `NULL`; leave a `None` out with serde's `skip_serializing_if` |
///
/// Sets cannot be expressed, because serde has only sequences. Write them into the record with
/// [`TestStream::with`](super::TestStream::with), or write the whole item with [`json!`](serde_json::json).
///
/// ```
/// use lambda_streams::testing::item;
/// use serde_json::json;
///
/// #[derive(serde::Serialize)]
/// struct Order<'a> { id: &'a str, total: f64, coupon: Option<&'a str> }
///
/// let order = Order { id: "a", total: 19.95, coupon: None };
/// assert_eq!(
///     serde_json::to_value(item(&order))?,
///     json!({"id": {"S": "a"}, "total": {"N": "19.95"}, "coupon": {"NULL": true}}),
/// );
/// # Ok::<(), serde_json::Error>(())
/// ```
///
/// # Errors
/// Serializing the item fails if the value is neither a struct nor a map, holds a float that is not finite, has attribute names that are not
/// strings, numbers or booleans, or refuses to be serialized.
pub fn item<T: Serialize>(value: T) -> Item<T> {
    Item(value)
}

/// An item that serializes to DynamoDB JSON: what [`item`] returns.
///
/// ```
/// use lambda_streams::testing::{Item, item};
///
/// #[derive(serde::Serialize)]
/// struct Order { id: String }
///
/// fn order(id: &str) -> Item<Order> {
///     item(Order { id: id.to_owned() })
/// }
/// assert_eq!(serde_json::to_value(order("a"))?, serde_json::json!({"id": {"S": "a"}}));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Item<T>(T);

impl<T: Serialize> Serialize for Item<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let value = self.0.serialize(Attribute).map_err(S::Error::custom)?;
        let attributes = value.get("M").ok_or_else(|| S::Error::custom("an item is a struct or a map"))?;
        attributes.serialize(serializer)
    }
}

/// Serializes one attribute value.
struct Attribute;

/// The attributes of an `M`; inside of the attribute of its variant, if there is one.
struct Attributes {
    variant: Option<&'static str>,
    values: Map<String, Value>,
    name: Option<String>,
}

/// The elements of an `L`; inside of the attribute of its variant, if there is one.
struct Elements {
    variant: Option<&'static str>,
    values: Vec<Value>,
}

impl Attributes {
    fn new(variant: Option<&'static str>) -> Self {
        Self { variant, values: Map::new(), name: None }
    }

    fn insert<T: Serialize + ?Sized>(&mut self, name: impl Into<String>, value: &T) -> Result<(), Error> {
        self.values.insert(name.into(), value.serialize(Attribute)?);
        Ok(())
    }

    fn finish(self) -> Result<Value, Error> {
        Ok(of_variant(self.variant, json!({"M": self.values})))
    }
}

impl Elements {
    fn new(variant: Option<&'static str>) -> Self {
        Self { variant, values: Vec::new() }
    }

    fn push<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.values.push(value.serialize(Attribute)?);
        Ok(())
    }

    fn finish(self) -> Result<Value, Error> {
        Ok(of_variant(self.variant, json!({"L": self.values})))
    }
}

fn of_variant(variant: Option<&str>, value: Value) -> Value {
    match variant {
        Some(variant) => json!({"M": {variant: value}}),
        None => value,
    }
}

/// The text of a map's key.
fn attribute_name<T: Serialize + ?Sized>(key: &T) -> Result<String, Error> {
    match key.serialize(Attribute)?.as_object().and_then(|value| value.iter().next()) {
        Some((_, Value::String(text))) => Ok(text.clone()),
        Some((kind, Value::Bool(flag))) if kind == "BOOL" => Ok(flag.to_string()),
        _ => Err(Error::custom("an attribute's name is neither text nor a number nor a boolean")),
    }
}

/// A float's shortest spelling, without a fraction if it is whole.
fn float(spelling: Result<String, Error>) -> Result<Value, Error> {
    match spelling?.as_str() {
        "null" => Err(Error::custom("a number of DynamoDB is finite")),
        number => Ok(json!({"N": number.strip_suffix(".0").unwrap_or(number)})),
    }
}

macro_rules! integer {
    ($($method:ident $type:ident)*) => {$(
        fn $method(self, number: $type) -> Result<Value, Error> {
            Ok(json!({"N": number.to_string()}))
        }
    )*};
}

impl Serializer for Attribute {
    type Ok = Value;
    type Error = Error;
    type SerializeSeq = Elements;
    type SerializeTuple = Elements;
    type SerializeTupleStruct = Elements;
    type SerializeTupleVariant = Elements;
    type SerializeMap = Attributes;
    type SerializeStruct = Attributes;
    type SerializeStructVariant = Attributes;

    integer! {
        serialize_i8 i8 serialize_i16 i16 serialize_i32 i32 serialize_i64 i64 serialize_i128 i128
        serialize_u8 u8 serialize_u16 u16 serialize_u32 u32 serialize_u64 u64 serialize_u128 u128
    }

    fn serialize_bool(self, flag: bool) -> Result<Value, Error> {
        Ok(json!({"BOOL": flag}))
    }

    fn serialize_f32(self, number: f32) -> Result<Value, Error> {
        float(serde_json::to_string(&number))
    }

    fn serialize_f64(self, number: f64) -> Result<Value, Error> {
        float(serde_json::to_string(&number))
    }

    fn serialize_char(self, text: char) -> Result<Value, Error> {
        Ok(json!({"S": text}))
    }

    fn serialize_str(self, text: &str) -> Result<Value, Error> {
        Ok(json!({"S": text}))
    }

    fn serialize_bytes(self, bytes: &[u8]) -> Result<Value, Error> {
        Ok(json!({"B": STANDARD.encode(bytes)}))
    }

    fn serialize_none(self) -> Result<Value, Error> {
        self.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<Value, Error> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<Value, Error> {
        Ok(json!({"NULL": true}))
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<Value, Error> {
        self.serialize_unit()
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<Value, Error> {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, name: &'static str, value: &T) -> Result<Value, Error> {
        let value = value.serialize(self)?;
        match value.get("S") {
            // The text of a number that none of serde's types holds.
            Some(number) if name == number::TOKEN => Ok(json!({"N": number})),
            _ => Ok(value),
        }
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<Value, Error> {
        Ok(of_variant(Some(variant), value.serialize(self)?))
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Elements, Error> {
        Ok(Elements::new(None))
    }

    fn serialize_tuple(self, _: usize) -> Result<Elements, Error> {
        Ok(Elements::new(None))
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Elements, Error> {
        Ok(Elements::new(None))
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Elements, Error> {
        Ok(Elements::new(Some(variant)))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Attributes, Error> {
        Ok(Attributes::new(None))
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Attributes, Error> {
        Ok(Attributes::new(None))
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Attributes, Error> {
        Ok(Attributes::new(Some(variant)))
    }
}

macro_rules! sequence {
    ($($trait:ident $method:ident)*) => {$(
        impl ser::$trait for Elements {
            type Ok = Value;
            type Error = Error;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
                self.push(value)
            }

            fn end(self) -> Result<Value, Error> {
                self.finish()
            }
        }
    )*};
}

sequence! {
    SerializeSeq serialize_element SerializeTuple serialize_element SerializeTupleStruct serialize_field
    SerializeTupleVariant serialize_field
}

macro_rules! structure {
    ($($trait:ident)*) => {$(
        impl ser::$trait for Attributes {
            type Ok = Value;
            type Error = Error;

            fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), Error> {
                self.insert(name, value)
            }

            fn end(self) -> Result<Value, Error> {
                self.finish()
            }
        }
    )*};
}

structure! { SerializeStruct SerializeStructVariant }

impl ser::SerializeMap for Attributes {
    type Ok = Value;
    type Error = Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Error> {
        self.name = Some(attribute_name(key)?);
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        let name = self.name.take().ok_or_else(|| Error::custom("a value comes before its name"))?;
        self.insert(name, value)
    }

    fn end(self) -> Result<Value, Error> {
        self.finish()
    }
}

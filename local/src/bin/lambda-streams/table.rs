//! A table: what its description says, and the calls that read and write it.

pub(crate) mod attributes;
pub(crate) mod calls;
pub(crate) mod compare;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{KeyType, TableDescription};

use crate::failure::Failure;

/// What `DescribeTable` says of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Table {
    /// As the user named it: a name, or an ARN.
    pub(crate) name: String,
    pub(crate) arn: String,
    /// The names of the key attributes, the partition key first.
    pub(crate) keys: Vec<String>,
    /// The stream that is on now.
    pub(crate) stream_arn: Option<String>,
    /// About how many items there are: DynamoDB counts them every six hours.
    pub(crate) items: u64,
    /// About how large they are together.
    pub(crate) bytes: u64,
}

impl Table {
    /// Asks for the description, once.
    ///
    /// # Errors
    /// If the table does not exist, the call is denied, or the endpoint cannot be reached.
    pub(crate) async fn describe(client: &Client, name: &str) -> Result<Self, Failure> {
        let described = client.describe_table().table_name(name).send().await;
        let described = described.map_err(|error| {
            Failure::not_begun(calls::explain(&format!("table `{name}`"), "dynamodb:DescribeTable", &error))
        })?;
        let table = described.table.and_then(|description| Self::of(name, description));
        table.ok_or_else(|| Failure::not_begun(format!("table `{name}`: its description lacks the ARN or the keys")))
    }

    fn of(name: &str, description: TableDescription) -> Option<Self> {
        let mut schema = description.key_schema.unwrap_or_default();
        schema.sort_by_key(|key| *key.key_type() != KeyType::Hash);
        let keys: Vec<String> = schema.into_iter().map(|key| key.attribute_name).collect();
        let is_on = description.stream_specification.is_some_and(|specification| specification.stream_enabled);
        let count = |number: Option<i64>| number.and_then(|number| u64::try_from(number).ok()).unwrap_or_default();
        Some(Self {
            name: name.to_owned(),
            arn: description.table_arn?,
            keys: Some(keys).filter(|keys| !keys.is_empty())?,
            stream_arn: description.latest_stream_arn.filter(|_| is_on),
            items: count(description.item_count),
            bytes: count(description.table_size_bytes),
        })
    }

    /// What a record names as its source: the stream, otherwise the table.
    pub(crate) fn source_arn(&self) -> &str {
        self.stream_arn.as_deref().unwrap_or(&self.arn)
    }
}

/// The table's ARN in the ARN of its stream or its export; an ARN of the table itself is it.
pub(crate) fn table_arn(arn: &str) -> &str {
    let Some(start) = arn.find(":table/").map(|colon| colon + ":table/".len()) else { return arn };
    arn[start..].find('/').map_or(arn, |slash| &arn[..start + slash])
}

/// The table's name in the ARN of its stream or its export. Emulators look a table up by its name alone.
pub(crate) fn table_name(arn: &str) -> &str {
    table_arn(arn).rsplit_once('/').map_or(arn, |(_, name)| name)
}

/// The region in an ARN.
pub(crate) fn region(arn: &str) -> Option<&str> {
    arn.split(':').nth(3).filter(|region| !region.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_and_an_export_name_their_table() {
        let table = "arn:aws:dynamodb:eu-central-1:123456789012:table/orders";
        for arn in [
            table.to_owned(),
            format!("{table}/stream/2026-01-01T00:00:00.000"),
            format!("{table}/export/01693685827463-2d8752fd"),
        ] {
            assert_eq!(table_arn(&arn), table);
            assert_eq!(region(&arn), Some("eu-central-1"));
        }
        assert_eq!(table_arn("orders"), "orders");
        assert_eq!(region("orders"), None);
    }
}

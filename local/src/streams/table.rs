//! Finds a table's stream by the table's name.

use aws_sdk_dynamodbstreams::Client;

use super::DynamoDbStreams;
use super::api_error::ApiError;
use crate::source::SourceError;

impl DynamoDbStreams {
    /// Connects to the stream of a table, by the table's name.
    ///
    /// # Errors
    /// If the table does not exist or has no stream, a call is denied, or the endpoint cannot be reached.
    pub async fn connect_to_table(
        dynamodb: &aws_sdk_dynamodb::Client,
        client: Client,
        table: &str,
    ) -> Result<Self, SourceError> {
        let description = dynamodb.describe_table().table_name(table).send().await;
        let description =
            description.map_err(|error| ApiError::of(&error).into_error(&format!("table `{table}`")))?.table;
        let enabled = description
            .as_ref()
            .and_then(|table| table.stream_specification())
            .is_some_and(|specification| specification.stream_enabled);
        match description.and_then(|table| table.latest_stream_arn) {
            Some(arn) if enabled => Self::connect(client, arn).await,
            _ => Err(SourceError::new(format!(
                "table `{table}` has no stream: turn its stream on, with the view type NEW_AND_OLD_IMAGES"
            ))),
        }
    }
}

//! A DynamoDB in this process.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
    StreamSpecification, StreamViewType, TimeToLiveSpecification,
};
use lambda_streams_local::DynamoDbStreams;
use tokio::net::TcpListener;

use crate::Failure;

/// A DynamoDB in this process, on a free port of loopback. It ends with the process.
#[derive(Debug)]
pub struct Database {
    pub client: aws_sdk_dynamodb::Client,
    streams: aws_sdk_dynamodbstreams::Client,
}

impl Database {
    /// Starts an empty one.
    pub async fn start() -> Result<Self, Failure> {
        let database = dynoxide::Database::memory()?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let endpoint = format!("http://{}", listener.local_addr()?);
        tokio::spawn(dynoxide::server::serve_with_shutdown(listener, database, std::future::pending()));
        let client = crate::client!(aws_sdk_dynamodb, &endpoint);
        Ok(Self { client, streams: crate::client!(aws_sdk_dynamodbstreams, &endpoint) })
    }

    /// Creates a table with a partition key and perhaps a sort key, and with a stream of both images.
    pub async fn create_table(&self, name: &str, keys: &[(&str, ScalarAttributeType)]) -> Result<(), Failure> {
        let stream = StreamSpecification::builder().stream_enabled(true);
        let stream = stream.stream_view_type(StreamViewType::NewAndOldImages).build()?;
        let table = self.client.create_table().table_name(name).billing_mode(BillingMode::PayPerRequest);
        let mut table = table.stream_specification(stream);
        for ((name, scalar), kind) in keys.iter().zip([KeyType::Hash, KeyType::Range]) {
            let attribute = AttributeDefinition::builder().attribute_name(*name).attribute_type(scalar.clone());
            let key = KeySchemaElement::builder().attribute_name(*name).key_type(kind);
            table = table.attribute_definitions(attribute.build()?).key_schema(key.build()?);
        }
        table.send().await?;
        Ok(())
    }

    /// Creates the table of an idempotency store and of its guards, as `DynamoDbIdempotencyStore` describes it.
    pub async fn create_idempotency_table(&self, name: &str) -> Result<(), Failure> {
        let key = AttributeDefinition::builder().attribute_name("key").attribute_type(ScalarAttributeType::S);
        let hash = KeySchemaElement::builder().attribute_name("key").key_type(KeyType::Hash);
        let table = self.client.create_table().table_name(name).billing_mode(BillingMode::PayPerRequest);
        table.attribute_definitions(key.build()?).key_schema(hash.build()?).send().await?;
        let life = TimeToLiveSpecification::builder().attribute_name("expires").enabled(true).build()?;
        self.client.update_time_to_live().table_name(name).time_to_live_specification(life).send().await?;
        Ok(())
    }

    /// The table's stream.
    pub async fn stream(&self, table: &str) -> Result<DynamoDbStreams, Failure> {
        let described = self.client.describe_table().table_name(table).send().await?;
        let arn = described.table.and_then(|table| table.latest_stream_arn).ok_or("the table has no stream")?;
        Ok(DynamoDbStreams::connect(self.streams.clone(), &arn).await?)
    }

    /// All items of a table.
    pub async fn scan(&self, table: &str) -> Result<Vec<HashMap<String, AttributeValue>>, Failure> {
        let mut items = Vec::new();
        let mut start = None;
        loop {
            let scan = self.client.scan().table_name(table).consistent_read(true).set_exclusive_start_key(start);
            let page = scan.send().await?;
            items.extend(page.items.unwrap_or_default());
            start = page.last_evaluated_key;
            if start.is_none() {
                return Ok(items);
            }
        }
    }
}

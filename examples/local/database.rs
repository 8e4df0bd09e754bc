//! The DynamoDB: one inside this process, or one that is already there.

use std::error::Error;
use std::time::{Duration, SystemTime};

use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region, SharedHttpClient};
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection, ProjectionType,
    ScalarAttributeType, StreamSpecification, StreamViewType,
};
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::Failure;

/// A DynamoDB with the documented table in it.
#[derive(Debug)]
pub(crate) struct Database {
    pub(crate) items: aws_sdk_dynamodb::Client,
    pub(crate) streams: aws_sdk_dynamodbstreams::Client,
    pub(crate) table: String,
    pub(crate) stream_arn: String,
    pub(crate) endpoint: String,
    server: Option<Server>,
}

/// The DynamoDB inside this process.
#[derive(Debug)]
struct Server {
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<(), String>>,
}

impl Database {
    /// Starts or reaches the DynamoDB, and creates the table.
    pub(crate) async fn open(endpoint_url: Option<&str>) -> Result<Self, Failure> {
        let (endpoint, server) = match endpoint_url {
            Some(url) => (url.to_owned(), None),
            None => serve().await.map(|(endpoint, server)| (endpoint, Some(server)))?,
        };
        let (items, streams) = clients(&endpoint);
        reach(&items, &endpoint).await?;
        let table = format!("lambda-streams-local-{}", fresh_suffix());
        let stream_arn = create_table(&items, &table).await?;
        Ok(Self { items, streams, table, stream_arn, endpoint, server })
    }

    /// Where it is, for a person.
    pub(crate) fn place(&self) -> &str {
        if self.server.is_some() { "inside this process" } else { &self.endpoint }
    }

    /// Deletes the table, and stops what was started.
    pub(crate) async fn close(self) -> Result<(), Failure> {
        let deleted = self.items.delete_table().table_name(&self.table).send().await;
        drop((self.items, self.streams));
        if let Some(server) = self.server {
            let _ = server.stop.send(());
            server.task.await.map_err(|error| Failure::setup(error.to_string()))?.map_err(Failure::setup)?;
        }
        let table = &self.table;
        deleted.map(drop).map_err(|error| Failure::setup(format!("cannot delete table {table}: {}", cause(&error))))
    }
}

async fn serve() -> Result<(String, Server), Failure> {
    let database = dynoxide::Database::memory().map_err(|error| Failure::setup(error.to_string()))?;
    let listener = TcpListener::bind("127.0.0.1:0").await.map_err(|error| Failure::setup(error.to_string()))?;
    let address = listener.local_addr().map_err(|error| Failure::setup(error.to_string()))?;
    let (stop, stopped) = oneshot::channel();
    let shutdown = async move { stopped.await.unwrap_or_default() };
    let task = tokio::spawn(dynoxide::server::serve_with_shutdown(listener, database, shutdown));
    Ok((format!("http://{address}"), Server { stop, task }))
}

fn clients(endpoint: &str) -> (aws_sdk_dynamodb::Client, aws_sdk_dynamodbstreams::Client) {
    let variable = |name| std::env::var(name).ok();
    let region = variable("AWS_REGION").or_else(|| variable("AWS_DEFAULT_REGION"));
    let region = Region::new(region.unwrap_or_else(|| "eu-central-1".to_owned()));
    // Local ones ask for credentials, and take any.
    let key = variable("AWS_ACCESS_KEY_ID").unwrap_or_else(|| "local".to_owned());
    let secret = variable("AWS_SECRET_ACCESS_KEY").unwrap_or_else(|| "local".to_owned());
    let credentials = Credentials::new(key, secret, variable("AWS_SESSION_TOKEN"), None, "environment");
    let (http, timeouts) =
        (http_client(endpoint), TimeoutConfig::builder().connect_timeout(Duration::from_secs(3)).build());

    macro_rules! client {
        ($sdk:ident) => {
            $sdk::Client::from_conf(
                $sdk::Config::builder()
                    .behavior_version(BehaviorVersion::latest())
                    .endpoint_url(endpoint)
                    .region(region.clone())
                    .credentials_provider(credentials.clone())
                    .timeout_config(timeouts.clone())
                    .http_client(http.clone())
                    .build(),
            )
        };
    }
    (client!(aws_sdk_dynamodb), client!(aws_sdk_dynamodbstreams))
}

fn http_client(endpoint: &str) -> SharedHttpClient {
    let builder = aws_smithy_http_client::Builder::new();
    if endpoint.starts_with("https:") {
        builder.tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https()
    } else {
        builder.build_http()
    }
}

/// Asks once, so a wrong address is reported at once.
async fn reach(client: &aws_sdk_dynamodb::Client, endpoint: &str) -> Result<(), Failure> {
    let once = aws_sdk_dynamodb::Config::builder().retry_config(RetryConfig::disabled());
    let answer = client.list_tables().limit(1).customize().config_override(once).send().await;
    answer.map(drop).map_err(|error| match error {
        SdkError::ServiceError(_) | SdkError::ResponseError(_) => {
            Failure::setup(format!("{endpoint} answers, but does not accept the request: {}", cause(&error)))
        }
        error => Failure::setup(format!("cannot reach a DynamoDB at {endpoint}: {}", cause(&error))),
    })
}

/// The documented table: `id` and `timestamp`, its index, and its stream.
async fn create_table(client: &aws_sdk_dynamodb::Client, table: &str) -> Result<String, Failure> {
    let text = ("id", ScalarAttributeType::S);
    let attributes = [text, ("timestamp", ScalarAttributeType::N), ("status", ScalarAttributeType::S)];
    let index = GlobalSecondaryIndex::builder()
        .index_name("status-timestamp-index")
        .set_key_schema(Some(key("status", "timestamp")))
        .projection(Projection::builder().projection_type(ProjectionType::All).build())
        .build()
        .expect("name, key and projection are set");
    let stream = StreamSpecification::builder().stream_enabled(true).stream_view_type(StreamViewType::NewAndOldImages);
    let created = client
        .create_table()
        .table_name(table)
        .set_attribute_definitions(Some(attributes.map(|(name, kind)| definition(name, kind)).into()))
        .set_key_schema(Some(key("id", "timestamp")))
        .global_secondary_indexes(index)
        .billing_mode(BillingMode::PayPerRequest)
        .stream_specification(stream.build().expect("it is said whether the stream is enabled"))
        .send()
        .await
        .map_err(|error| Failure::setup(format!("cannot create table {table}: {}", cause(&error))))?;
    let stream_arn = created.table_description.and_then(|description| description.latest_stream_arn);
    wait_until_active(client, table).await?;
    stream_arn.ok_or_else(|| Failure::setup(format!("table {table} was created without a stream")))
}

async fn wait_until_active(client: &aws_sdk_dynamodb::Client, table: &str) -> Result<(), Failure> {
    for _ in 0..120 {
        let described = client.describe_table().table_name(table).send().await;
        let described =
            described.map_err(|error| Failure::setup(format!("cannot describe {table}: {}", cause(&error))))?;
        let status = described.table.and_then(|table| table.table_status);
        if status.is_some_and(|status| status.as_str() == "ACTIVE") {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    Err(Failure::setup(format!("table {table} is still not active after a minute")))
}

fn key(hash: &str, range: &str) -> Vec<KeySchemaElement> {
    let element = |name: &str, kind| {
        let element = KeySchemaElement::builder().attribute_name(name).key_type(kind).build();
        element.expect("name and kind are set")
    };
    vec![element(hash, KeyType::Hash), element(range, KeyType::Range)]
}

fn definition(name: &str, kind: ScalarAttributeType) -> AttributeDefinition {
    let definition = AttributeDefinition::builder().attribute_name(name).attribute_type(kind).build();
    definition.expect("name and kind are set")
}

/// No table that is there already may be touched.
fn fresh_suffix() -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    format!("{:x}", now.as_nanos())
}

/// The innermost reason, in one line.
pub(crate) fn cause(error: &(dyn Error + 'static)) -> String {
    let innermost = std::iter::successors(Some(error), |error| (*error).source()).last().unwrap_or(error);
    innermost.to_string().lines().collect::<Vec<_>>().join(" ")
}

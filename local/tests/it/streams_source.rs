//! Reading a stream through its API: a real one (dynoxide, in this process), and one that misbehaves on purpose.

mod faults;

use std::collections::{BTreeMap, HashMap};
use std::sync::{LazyLock, Mutex};

use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
    StreamSpecification, StreamViewType,
};
use lambda_streams_local::{DynamoDbStreams, Position, Source, SourceRecord};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

/// DynamoDB in this process, until it is dropped.
pub(crate) struct Dynamo {
    pub(crate) endpoint: String,
    tables: aws_sdk_dynamodb::Client,
    streams: aws_sdk_dynamodbstreams::Client,
    database: dynoxide::Database,
    _stop: oneshot::Sender<()>,
}

impl Dynamo {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let endpoint = format!("http://{}", listener.local_addr().expect("it is bound"));
        let (stop, stopped) = oneshot::channel::<()>();
        let database = database();
        tokio::spawn(dynoxide::server::serve_with_shutdown(listener, database.clone(), async {
            let _ = stopped.await;
        }));
        let region = "eu-central-1";
        let tables = aws_sdk_dynamodb::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(region))
            .credentials_provider(credentials())
            .http_client(http_client())
            .endpoint_url(&endpoint);
        let streams = aws_sdk_dynamodbstreams::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(region))
            .credentials_provider(credentials())
            .http_client(http_client())
            .endpoint_url(&endpoint);
        Self {
            tables: aws_sdk_dynamodb::Client::from_conf(tables.build()),
            streams: aws_sdk_dynamodbstreams::Client::from_conf(streams.build()),
            endpoint,
            database,
            _stop: stop,
        }
    }

    pub(crate) async fn create_table(&self, name: &str, view_type: Option<StreamViewType>) {
        let key = |name: &str, kind| {
            KeySchemaElement::builder().attribute_name(name).key_type(kind).build().expect("both are set")
        };
        let attribute = |name: &str, kind| {
            AttributeDefinition::builder().attribute_name(name).attribute_type(kind).build().expect("both are set")
        };
        let stream = view_type.map(|view_type| {
            let stream = StreamSpecification::builder().stream_enabled(true).stream_view_type(view_type);
            stream.build().expect("it is set")
        });
        let request = self
            .tables
            .create_table()
            .table_name(name)
            .billing_mode(BillingMode::PayPerRequest)
            .attribute_definitions(attribute("id", ScalarAttributeType::S))
            .attribute_definitions(attribute("timestamp", ScalarAttributeType::N))
            .key_schema(key("id", KeyType::Hash))
            .key_schema(key("timestamp", KeyType::Range))
            .set_stream_specification(stream);
        request.send().await.expect("the table can be created");
    }

    pub(crate) async fn put(&self, table: &str, item: HashMap<String, AttributeValue>) {
        self.tables.put_item().table_name(table).set_item(Some(item)).send().await.expect("the item can be put");
    }

    /// The stream's ARN, its only shard, and the sequence numbers that are in it.
    pub(crate) async fn stream(&self, table: &str) -> (String, String, Vec<String>) {
        let source = self.source(table).await;
        let shards = source.shards().await.expect("the shards can be listed");
        let records = read_all(&source, &Position::TrimHorizon).await;
        let numbers = records.iter().map(|record| record.sequence_number().expect("it has one").to_string()).collect();
        (source.stream_arn(), shards[0].id.clone(), numbers)
    }

    /// Puts items that only have strings and numbers into a table, past its stream: they were there before it was turned on.
    pub(crate) fn import(&self, table: &str, items: impl Iterator<Item = HashMap<String, AttributeValue>>) {
        let value = |value: AttributeValue| match value {
            AttributeValue::S(text) => dynoxide::types::AttributeValue::S(text),
            AttributeValue::N(number) => dynoxide::types::AttributeValue::N(number),
            other => panic!("{other:?} is neither a text nor a number"),
        };
        let items = items.map(|item| item.into_iter().map(|(name, attribute)| (name, value(attribute))).collect());
        let imported = self.database.import_items(table, items.collect(), dynoxide::ImportOptions::default());
        imported.expect("the items can be put");
    }

    /// Deletes an item by its keys.
    pub(crate) async fn delete(&self, table: &str, keys: HashMap<String, AttributeValue>) {
        self.tables.delete_item().table_name(table).set_key(Some(keys)).send().await.expect("it can be deleted");
    }

    /// The items of a table by their `id`.
    pub(crate) async fn items(&self, table: &str) -> BTreeMap<String, HashMap<String, AttributeValue>> {
        self.scan(table).await.into_iter().collect()
    }

    /// The items of a table with their `id`, in the order of a scan in one segment.
    pub(crate) async fn scan(&self, table: &str) -> Vec<(String, HashMap<String, AttributeValue>)> {
        let mut items = Vec::new();
        let mut start = None;
        loop {
            let page = self.tables.scan().table_name(table).consistent_read(true).segment(0).total_segments(1);
            let page = page.set_exclusive_start_key(start).send().await.expect("the table can be read");
            let named = |item: HashMap<String, AttributeValue>| (item["id"].as_s().expect("a text").clone(), item);
            items.extend(page.items.unwrap_or_default().into_iter().map(named));
            start = page.last_evaluated_key;
            if start.is_none() {
                return items;
            }
        }
    }

    /// The `id` of the items that lack an attribute.
    pub(crate) async fn names_without(&self, table: &str, attribute: &str) -> Vec<String> {
        let items = self.items(table).await.into_iter();
        items.filter(|(_, item)| !item.contains_key(attribute)).map(|(name, _)| name).collect()
    }

    /// Waits until an item has the attribute.
    pub(crate) async fn wait_for_attribute(&self, table: &str, attribute: &str) {
        while !self.items(table).await.values().any(|item| item.contains_key(attribute)) {
            tokio::task::yield_now().await;
        }
    }

    /// The ARN of the table's stream.
    pub(crate) async fn stream_arn(&self, table: &str) -> String {
        self.source(table).await.stream_arn()
    }

    /// Every record that is in the table's stream.
    pub(crate) async fn stream_records(&self, table: &str) -> Vec<Value> {
        read_all(&self.source(table).await, &Position::TrimHorizon).await.iter().map(parse).collect()
    }

    pub(crate) async fn source(&self, table: &str) -> DynamoDbStreams {
        DynamoDbStreams::connect_to_table(&self.tables, self.streams.clone(), table).await.expect("it has a stream")
    }
}

/// An empty database in memory, with an index of the stream's sequence numbers.
///
/// dynoxide has no such index. It reads the whole stream to number the next record, so the time of a write grows with the
/// number of writes before it.
fn database() -> dynoxide::Database {
    const TEMPLATE: &str = "file:/indexed?vfs=memdb";
    const INDEX: &str = "CREATE INDEX stream_order ON _stream_records (table_name, CAST(sequence_number AS INTEGER))";
    // The template is there as long as a connection to it is open.
    static INDEXED: LazyLock<Mutex<dynoxide::storage::Storage>> = LazyLock::new(|| {
        let storage = dynoxide::storage::Storage::new(TEMPLATE).expect("a database in memory");
        storage.conn().execute_batch(INDEX).expect("the table of the streams is there");
        Mutex::new(storage)
    });
    let _template = INDEXED.lock().expect("no test panics with it");
    let database = dynoxide::Database::memory().expect("a database in memory");
    database.restore_from(TEMPLATE).expect("the template can be copied");
    database
}

fn credentials() -> Credentials {
    Credentials::new("local", "local", None, None, "tests")
}

fn http_client() -> aws_sdk_dynamodb::config::SharedHttpClient {
    aws_smithy_http_client::Builder::new().build_http()
}

pub(crate) fn item(
    id: &str,
    attributes: impl IntoIterator<Item = (&'static str, AttributeValue)>,
) -> HashMap<String, AttributeValue> {
    let keys = [("id", AttributeValue::S(id.to_owned())), ("timestamp", AttributeValue::N("1".to_owned()))];
    keys.into_iter().chain(attributes).map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Everything that is in the only shard now, read to the first empty page.
async fn read_all(source: &DynamoDbStreams, from: &Position) -> Vec<SourceRecord> {
    let shards = source.shards().await.expect("the shards can be listed");
    assert_eq!(shards.len(), 1, "{shards:?}");
    let mut iterator = source.open(&shards[0].id, from).await.expect("the shard can be opened");
    let mut all = Vec::new();
    loop {
        let page = source.read(iterator).await.expect("the shard can be read");
        if page.records.is_empty() {
            return all;
        }
        all.extend(page.records);
        iterator = page.next.expect("the shard of a living stream is open");
    }
}

fn parse(record: &SourceRecord) -> Value {
    serde_json::from_str(record.json()).expect("it is JSON")
}

#[tokio::test]
async fn changes_come_back_as_lambda_delivers_them() {
    let dynamo = Dynamo::start().await;
    dynamo.create_table("orders", Some(StreamViewType::NewAndOldImages)).await;
    let status = |status: &str| [("status", AttributeValue::S(status.to_owned()))];
    dynamo.put("orders", item("a", status("new"))).await;
    dynamo.put("orders", item("a", status("paid"))).await;
    dynamo.delete("orders", item("a", [])).await;

    let source = dynamo.source("orders").await;
    assert_eq!(source.view_type(), Some("NEW_AND_OLD_IMAGES"));
    let records: Vec<Value> = read_all(&source, &Position::TrimHorizon).await.iter().map(parse).collect();

    let keys = json!({"id": {"S": "a"}, "timestamp": {"N": "1"}});
    let image = |status: &str| json!({"id": {"S": "a"}, "timestamp": {"N": "1"}, "status": {"S": status}});
    let expected = [
        ("INSERT", image("new"), Value::Null),
        ("MODIFY", image("paid"), image("new")),
        ("REMOVE", Value::Null, image("paid")),
    ];
    assert_eq!(records.len(), expected.len());
    for (record, (kind, new, old)) in records.iter().zip(expected) {
        assert_eq!(record["eventName"], kind);
        assert_eq!(record["eventSource"], "aws:dynamodb");
        assert_eq!(record["eventVersion"], "1.1");
        assert_eq!(record["eventSourceARN"], source.stream_arn());
        assert_eq!(record["dynamodb"]["Keys"], keys);
        assert_eq!(record["dynamodb"]["NewImage"], new);
        assert_eq!(record["dynamodb"]["OldImage"], old);
        assert_eq!(record["dynamodb"]["StreamViewType"], "NEW_AND_OLD_IMAGES");
        assert!(record["dynamodb"]["ApproximateCreationDateTime"].is_number(), "{record}");
    }
}

#[tokio::test]
async fn every_attribute_type_survives_the_stream() {
    let dynamo = Dynamo::start().await;
    dynamo.create_table("orders", Some(StreamViewType::NewImage)).await;
    let text = |text: &str| text.to_owned();
    let blob = |bytes: &[u8]| aws_sdk_dynamodb::primitives::Blob::new(bytes);
    let attributes = [
        ("s", AttributeValue::S(text("é\u{1F600}\"\\\u{7}"))),
        ("n", AttributeValue::N(text("12345678901234567890123456789012345678"))),
        ("b", AttributeValue::B(blob(&[0, 255, 254]))),
        ("ss", AttributeValue::Ss(vec![text("x"), text("y")])),
        ("ns", AttributeValue::Ns(vec![text("1"), text("-0.5")])),
        ("bs", AttributeValue::Bs(vec![blob(&[1]), blob(&[2, 3])])),
        ("null", AttributeValue::Null(true)),
        ("bool", AttributeValue::Bool(false)),
        ("l", AttributeValue::L(vec![AttributeValue::N(text("7")), AttributeValue::L(Vec::new())])),
        ("m", AttributeValue::M(HashMap::from([(text("deep"), AttributeValue::M(HashMap::new()))]))),
    ];
    dynamo.put("orders", item("a", attributes)).await;
    let records = read_all(&dynamo.source("orders").await, &Position::TrimHorizon).await;
    let mut image = parse(&records[0])["dynamodb"]["NewImage"].take();
    for set in ["ss", "ns", "bs"] {
        let (_, values) = image[set].as_object_mut().and_then(|set| set.iter_mut().next()).expect("a set");
        values.as_array_mut().expect("an array").sort_by_key(Value::to_string);
    }
    let expected = json!({
        "id": {"S": "a"}, "timestamp": {"N": "1"},
        "s": {"S": "é\u{1F600}\"\\\u{7}"}, "n": {"N": "12345678901234567890123456789012345678"}, "b": {"B": "AP/+"},
        "ss": {"SS": ["x", "y"]}, "ns": {"NS": ["-0.5", "1"]}, "bs": {"BS": ["AQ==", "AgM="]},
        "null": {"NULL": true}, "bool": {"BOOL": false}, "l": {"L": [{"N": "7"}, {"L": []}]},
        "m": {"M": {"deep": {"M": {}}}}
    });
    assert_eq!(image, expected);
}

#[tokio::test]
async fn pages_keep_their_order() {
    let dynamo = Dynamo::start().await;
    dynamo.create_table("orders", Some(StreamViewType::KeysOnly)).await;
    for number in 0..1_100 {
        dynamo.put("orders", item(&format!("{number:04}"), [])).await;
    }
    let source = dynamo.source("orders").await;
    let records = read_all(&source, &Position::TrimHorizon).await;
    let ids: Vec<String> =
        records.iter().map(|record| parse(record)["dynamodb"]["Keys"]["id"]["S"].to_string()).collect();
    assert_eq!(ids.len(), 1_100);
    assert!(ids.is_sorted(), "the order of the writes");

    let middle = records[549].sequence_number().copied().expect("it has one");
    let rest = read_all(&source, &Position::After(middle)).await;
    assert_eq!(rest.len(), 550);
    assert_eq!(parse(&rest[0])["dynamodb"]["Keys"]["id"]["S"], "0550");
    assert!(read_all(&source, &Position::Latest).await.is_empty());
}

#[tokio::test]
async fn a_table_without_a_stream_is_not_a_missing_table() {
    let dynamo = Dynamo::start().await;
    dynamo.create_table("plain", None).await;
    let refuse = async |table| {
        let refused = DynamoDbStreams::connect_to_table(&dynamo.tables, dynamo.streams.clone(), table).await;
        refused.expect_err("there is nothing to read").to_string()
    };
    let missing = refuse("nowhere").await;
    assert!(missing.starts_with("table `nowhere` does not exist here: check its name"), "{missing}");
    let plain = refuse("plain").await;
    assert_eq!(plain, "table `plain` has no stream: turn its stream on, with the view type NEW_AND_OLD_IMAGES");
    let arn = "arn:aws:dynamodb:eu-central-1:000000000000:table/nowhere/stream/2026-01-01T00:00:00.000";
    let error = DynamoDbStreams::connect(dynamo.streams.clone(), arn).await.expect_err("no stream").to_string();
    assert!(error.starts_with(&format!("stream {arn} does not exist here")), "{error}");
}

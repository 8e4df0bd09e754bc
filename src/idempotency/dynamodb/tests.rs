//! The function's own client, from its environment to its requests: over a transport of the tests' own.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use aws_sdk_dynamodb::config::http::{HttpRequest, HttpResponse};
use aws_sdk_dynamodb::config::{HttpClient, RuntimeComponents, SharedHttpClient};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};

use super::function::check_table;
use super::*;
use crate::aws::Variables;

const KEYS: [(&str, &str); 2] = [("AWS_ACCESS_KEY_ID", "AKIDENV"), ("AWS_SECRET_ACCESS_KEY", "secret")];
const REGION: (&str, &str) = ("AWS_REGION", "eu-central-1");

/// Notes where requests go and how they are signed, and answers the first ones with these codes.
#[derive(Clone)]
struct Network {
    sent: Arc<Mutex<Vec<(String, String)>>>,
    codes: &'static [&'static str],
}

impl Network {
    fn new(codes: &'static [&'static str]) -> Self {
        Self { sent: Arc::default(), codes }
    }

    fn sent(&self) -> Vec<(String, String)> {
        self.sent.lock().expect("no test panics in here").clone()
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Network")
    }
}

impl HttpClient for Network {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Network {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let signature = request.headers().get("authorization").unwrap_or_default();
        let scope = signature.split("Credential=").nth(1).and_then(|rest| rest.split(',').next()).unwrap_or_default();
        let mut sent = self.sent.lock().expect("no test panics in here");
        let (status, body) = match self.codes.get(sent.len()) {
            Some(code) => (400, format!(r#"{{"__type":"com.amazonaws.dynamodb.v20120810#{code}","message":"no"}}"#)),
            None => (200, "{}".to_owned()),
        };
        let without_day: Vec<&str> =
            scope.split('/').enumerate().filter(|(at, _)| *at != 1).map(|(_, part)| part).collect();
        sent.push((request.uri().to_owned(), without_day.join("/")));
        HttpConnectorFuture::ready(Ok(HttpResponse::new(status.try_into().expect("a status"), body.into())))
    }
}

fn store(table: &str, variables: &[(&str, &str)], network: &Network) -> Result<DynamoDbIdempotencyStore, String> {
    let variables: HashMap<String, String> =
        variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let function = Function::new(Variables::new(move |name| variables.get(name).cloned()));
    function.store(table, Some(SharedHttpClient::new(network.clone()))).map_err(|error| error.to_string())
}

/// Where the requests of a function with these variables go, and for whom they are signed.
async fn destination(table: &str, variables: &[(&str, &str)]) -> (String, String) {
    let network = Network::new(&[]);
    let store = store(table, &[&KEYS[..], variables].concat(), &network).expect("a store");
    assert_eq!(store.load(&StoreKey::from_text("k")).await.expect("it is answered"), None);
    network.sent().remove(0)
}

#[tokio::test]
async fn requests_go_to_the_tables_region_or_the_endpoint_of_a_variable() {
    let arn = "arn:aws:dynamodb:us-west-2:123456789012:table/done";
    // The client takes the account of an ARN into the name of the host.
    let (own, other) =
        ("https://dynamodb.eu-central-1.amazonaws.com/", "https://123456789012.ddb.us-west-2.amazonaws.com/");
    let (all, dynamodb) =
        (("AWS_ENDPOINT_URL", "http://localhost:1"), ("AWS_ENDPOINT_URL_DYNAMODB", "http://localhost:2"));
    let ignored = ("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true");
    for (table, variables, url, region) in [
        ("done", &[REGION][..], own, "eu-central-1"),
        (
            "done",
            &[("AWS_DEFAULT_REGION", "cn-north-1")],
            "https://dynamodb.cn-north-1.amazonaws.com.cn/",
            "cn-north-1",
        ),
        (arn, &[REGION], other, "us-west-2"),
        ("done", &[REGION, all], "http://localhost:1/", "eu-central-1"),
        ("done", &[REGION, all, dynamodb], "http://localhost:2/", "eu-central-1"),
        ("done", &[REGION, all, dynamodb, ignored], own, "eu-central-1"),
    ] {
        let expected = (url.to_owned(), format!("AKIDENV/{region}/dynamodb/aws4_request"));
        assert_eq!(destination(table, variables).await, expected);
    }
}

#[test]
fn what_is_missing_or_malformed_is_refused_at_start() {
    let network = Network::new(&[]);
    let error = store("done", &KEYS, &network).expect_err("there is no region");
    assert!(error.contains("set the environment variable `AWS_REGION`"), "{error}");
    let error = store("done", &[REGION, ("AWS_ENDPOINT_URL", "localhost:1")], &network).expect_err("it has no scheme");
    assert!(error.starts_with("the environment variable `AWS_ENDPOINT_URL` is not the URL of an endpoint"), "{error}");
    for table in ["", "ab", "a b c", "orders/done", "arn:aws:sqs:eu-central-1:1:queue", &"t".repeat(256)] {
        let error = check_table(table).expect_err(table).to_string();
        assert!(error.starts_with("the environment variable `LAMBDA_STREAMS_IDEMPOTENCY_TABLE` is "), "{error}");
    }
    for table in ["done", "my.table_1-x", "arn:aws:dynamodb:us-west-2:123456789012:table/done"] {
        assert!(check_table(table).is_ok(), "{table}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_throttled_request_is_sent_again_and_refused_credentials_are_read_once_more() {
    let load = async |codes| {
        let network = Network::new(codes);
        let store = store("done", &[&KEYS[..], &[REGION]].concat(), &network).expect("a store");
        let answer = store.load(&StoreKey::from_text("k")).await.map_err(|error| error.to_string());
        (answer, network.sent().len())
    };
    assert_eq!(load(&["ThrottlingException", "ProvisionedThroughputExceededException"]).await, (Ok(None), 3));
    assert_eq!(load(&["ExpiredTokenException"]).await, (Ok(None), 2));
    let (answer, requests) = load(&["ExpiredTokenException"; 9]).await;
    assert!(answer.is_err_and(|error| error.ends_with("check the credentials of the client")) && requests == 2);
    let (answer, requests) = load(&["ResourceNotFoundException"; 9]).await;
    assert!(answer.is_err() && requests == 1);
}

#[test]
fn an_error_names_the_endpoint_of_a_variable() {
    let network = Network::new(&[]);
    let store = store("done", &[REGION, ("AWS_ENDPOINT_URL", "http://localhost:1")], &network).expect("a store");
    assert_eq!(&*store.name, "done at http://localhost:1 (AWS_ENDPOINT_URL)");
    assert_eq!(format!("{store:?}"), r#"DynamoDbIdempotencyStore { table: "done", .. }"#);
}

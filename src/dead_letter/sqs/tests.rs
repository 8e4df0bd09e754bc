//! The function's own client, from its environment to its requests: over a transport of the tests' own, on a paused clock.

mod credentials;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_sdk_sqs::config::http::{HttpRequest, HttpResponse};
use aws_sdk_sqs::config::{HttpClient, RuntimeComponents, SharedHttpClient};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::result::ConnectorError;
use futures::StreamExt;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::*;

const AWS: &str = "https://sqs.eu-central-1.amazonaws.com/123456789012/dead-letters";
const KEYS: [(&str, &str); 2] = [("AWS_ACCESS_KEY_ID", "AKIDENV"), ("AWS_SECRET_ACCESS_KEY", "secret")];

/// What the network does with a request.
enum Answer {
    Json(u16, Value),
    Silence,
    /// A request is accepted after this time.
    Late(Duration),
    /// The connection fails after this time.
    NoConnection(Duration),
}

/// A request that was sent.
#[derive(Debug, Clone)]
struct Sent {
    uri: String,
    operation: String,
    authorization: String,
    body: Value,
}

impl Sent {
    /// The id of the key that signed it, and the region that it is for.
    fn signed(&self) -> (&str, &str) {
        let mut scope = self.authorization.split("Credential=").nth(1).expect("it is signed").split('/');
        let key_id = scope.next().expect("a key");
        (key_id, scope.nth(1).expect("a region"))
    }
}

/// What a request is answered with, given the number of earlier ones of the same operation.
type Play = dyn Fn(&Sent, usize) -> Answer + Send + Sync;

/// The network below the client: it notes each request.
#[derive(Clone)]
struct Network {
    sent: Arc<Mutex<Vec<Sent>>>,
    play: Arc<Play>,
}

impl Network {
    fn new(play: impl Fn(&Sent, usize) -> Answer + Send + Sync + 'static) -> Self {
        Self { sent: Arc::default(), play: Arc::new(play) }
    }

    /// Everything is accepted.
    fn accepting() -> Self {
        Self::new(|sent, _| accept(sent))
    }

    fn sent(&self) -> Vec<Sent> {
        self.sent.lock().expect("no test panics in here").clone()
    }

    fn count(&self, operation: &str) -> usize {
        self.sent().iter().filter(|sent| sent.operation == operation).count()
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
        let header = |name: &str| request.headers().get(name).unwrap_or_default().to_owned();
        let target = header("x-amz-target");
        let sent = Sent {
            uri: request.uri().to_owned(),
            operation: target.rsplit('.').next().unwrap_or_default().to_owned(),
            authorization: header("authorization"),
            body: serde_json::from_slice(request.body().bytes().unwrap_or_default()).unwrap_or_default(),
        };
        let mut all = self.sent.lock().expect("no test panics in here");
        let earlier = all.iter().filter(|earlier| earlier.operation == sent.operation).count();
        all.push(sent.clone());
        drop(all);
        match (self.play)(&sent, earlier) {
            Answer::Json(status, body) => {
                let status = status.try_into().expect("tests give statuses that exist");
                HttpConnectorFuture::ready(Ok(HttpResponse::new(status, body.to_string().into())))
            }
            Answer::Silence => HttpConnectorFuture::new(std::future::pending()),
            Answer::Late(after) => {
                let Answer::Json(_, body) = accept(&sent) else { unreachable!("that is how requests are accepted") };
                HttpConnectorFuture::new(async move {
                    sleep(after).await;
                    Ok(HttpResponse::new(200.try_into().expect("a status"), body.to_string().into()))
                })
            }
            Answer::NoConnection(after) => HttpConnectorFuture::new(async move {
                sleep(after).await;
                Err(ConnectorError::timeout("no connection".into()))
            }),
        }
    }
}

fn accept(sent: &Sent) -> Answer {
    if sent.operation == "GetQueueAttributes" {
        return Answer::Json(200, json!({"Attributes": {"MaximumMessageSize": "1048576"}}));
    }
    let entries = sent.body["Entries"].as_array().expect("a batch");
    let one = |entry: &Value| json!({"Id": entry["Id"], "MessageId": "1", "MD5OfMessageBody": "0"});
    Answer::Json(200, json!({"Successful": entries.iter().map(one).collect::<Vec<_>>(), "Failed": []}))
}

fn error(status: u16, code: &str) -> Answer {
    Answer::Json(status, json!({"__type": format!("com.amazonaws.sqs#{code}"), "message": "no"}))
}

/// Variables that a test can change.
#[derive(Clone, Default)]
struct Environment(Arc<Mutex<HashMap<String, String>>>);

impl Environment {
    fn new(variables: &[(&str, &str)]) -> Self {
        let environment = Self::default();
        variables.iter().for_each(|(name, value)| environment.set(name, value));
        environment
    }

    fn set(&self, name: &str, value: &str) {
        self.0.lock().expect("no test panics in here").insert(name.to_owned(), value.to_owned());
    }

    fn variables(&self) -> Variables {
        let variables = Arc::clone(&self.0);
        Variables::new(move |name| variables.lock().expect("no test panics in here").get(name).cloned())
    }
}

fn queue(url: &str, environment: &Environment, network: &Network) -> SqsDeadLetterQueue {
    let url = QueueUrl::parse(url).expect("the tests' URLs are those of queues");
    let http = SharedHttpClient::new(network.clone());
    SqsDeadLetterQueue::of_function(url, environment.variables(), Some(http)).expect("the environment is complete")
}

fn letter() -> DeadLetter {
    let envelope = json!({
        "version": 1, "errorKind": "handler", "errorMessage": "no stock", "attempts": 1,
        "firstSeen": "2026-01-01T00:00:00Z", "deadLettered": "2026-01-01T00:00:00Z", "record": {"eventID": "7"},
    });
    DeadLetter::from_json(&envelope.to_string()).expect("the envelope is complete")
}

/// Sends one letter; returns why it was not accepted.
async fn send(queue: &SqsDeadLetterQueue) -> Option<String> {
    // Without a timeout of its own the client would wait until the end of time, which is soon on a paused clock.
    let answers = tokio::time::timeout(Duration::from_secs(300), async { queue.send(&[letter()]).await }).await;
    let mut answers = answers.expect("each attempt has a timeout");
    assert_eq!(answers.len(), 1);
    answers.remove(0).err().map(|error| error.to_string())
}

/// Where requests go, the region they are signed for, and whether all succeeded.
async fn destination(url: &str, variables: &[(&str, &str)]) -> (String, String) {
    let network = Network::accepting();
    let environment = Environment::new(&[&KEYS[..], variables].concat());
    assert_eq!(send(&queue(url, &environment, &network)).await, None);
    let sent = network.sent();
    assert_eq!(sent.len(), 2);
    assert!(sent.iter().all(|one| one.uri == sent[0].uri && one.body["QueueUrl"] == url), "{sent:?}");
    (sent[0].uri.clone(), sent[0].signed().1.to_owned())
}

#[tokio::test(start_paused = true)]
async fn a_letter_goes_to_the_host_that_its_url_names() {
    for (origin, path, region) in [
        ("https://vpce-0aa11bb22cc33dd44-abcdefgh.sqs.eu-west-1.vpce.amazonaws.com", "444455556666", "eu-west-1"),
        ("http://127.0.0.1:4566", "000000000000", "us-east-1"),
        ("http://localhost:4566", "queue/eu-west-1/000000000000", "eu-west-1"),
        ("http://sqs.eu-west-1.localhost.localstack.cloud:4566", "000000000000", "eu-west-1"),
        ("https://eu-west-1.queue.amazonaws.com", "444455556666", "eu-west-1"),
        ("https://queue.amazonaws.com", "444455556666", "us-east-1"),
        ("https://sqs.eu-west-1.amazonaws.com", "444455556666", "eu-west-1"),
        ("https://sqs-fips.us-west-2.amazonaws.com", "444455556666", "us-west-2"),
        ("https://sqs.eu-west-1.api.aws", "444455556666", "eu-west-1"),
        ("https://sqs.cn-north-1.amazonaws.com.cn", "444455556666", "cn-north-1"),
        ("https://sqs.us-iso-east-1.c2s.ic.gov", "444455556666", "us-iso-east-1"),
        ("https://queues.example", "444455556666", "us-east-1"),
    ] {
        let url = format!("{origin}/{path}/parcel-dead-letters");
        let expected = (format!("{origin}/"), region.to_owned());
        assert_eq!(destination(&url, &[("AWS_REGION", "us-east-1")]).await, expected, "{url}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_variable_replaces_the_urls_host() {
    let emulator = ("AWS_ENDPOINT_URL", "http://localhost:4566");
    assert_eq!(destination(AWS, &[emulator]).await.0, "http://localhost:4566/");
    let interface = ("AWS_ENDPOINT_URL_SQS", "https://vpce-0aa-abc.sqs.eu-central-1.vpce.amazonaws.com");
    assert_eq!(destination(AWS, &[emulator, interface]).await.0, format!("{}/", interface.1));
}

#[tokio::test(start_paused = true)]
async fn an_error_names_the_endpoint_and_its_variable() {
    let network = Network::new(|_, _| Answer::NoConnection(NO_ROUTE));
    let environment = Environment::new(&[&KEYS[..], &[("AWS_ENDPOINT_URL", "http://localhost:4566")]].concat());
    let error = send(&queue(AWS, &environment, &network)).await.expect("nothing listens there");
    assert!(
        error.starts_with(&format!("{AWS} at http://localhost:4566 (`AWS_ENDPOINT_URL`) gave no answer")),
        "{error}"
    );
}

#[test]
fn a_url_without_a_region_is_refused_at_start() {
    let url = QueueUrl::parse("http://127.0.0.1:4566/000000000000/q").expect("a URL");
    let refused = SqsDeadLetterQueue::of_function(url, Environment::new(&KEYS).variables(), None);
    let error = refused.expect_err("no region is known").to_string();
    assert!(error.ends_with("set the environment variable `AWS_REGION` to that of the queue"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn an_attempt_ends_after_five_seconds() {
    let network = Network::new(|sent, earlier| if earlier == 0 { Answer::Silence } else { accept(sent) });
    let start = Instant::now();
    assert_eq!(send(&queue(AWS, &Environment::new(&KEYS), &network)).await, None);
    let elapsed = start.elapsed();
    assert!((Duration::from_secs(10)..Duration::from_millis(10_300)).contains(&elapsed), "{elapsed:?}");
}

#[tokio::test(start_paused = true)]
async fn a_request_is_sent_at_most_four_times() {
    let network = Network::new(|_, _| error(503, "ServiceUnavailable"));
    assert!(send(&queue(AWS, &Environment::new(&KEYS), &network)).await.is_some());
    assert_eq!(network.count("GetQueueAttributes"), 4);
    let network = Network::new(|sent, _| match sent.operation.as_str() {
        "GetQueueAttributes" => accept(sent),
        _ => error(503, "ServiceUnavailable"),
    });
    assert!(send(&queue(AWS, &Environment::new(&KEYS), &network)).await.is_some());
    assert_eq!(network.count("SendMessageBatch"), 4);
}

const NO_ROUTE: Duration = Duration::from_millis(3_100);

/// Answers so many concurrent calls of one letter each; returns the time of the last.
async fn time_of(queue: &SqsDeadLetterQueue, calls: usize) -> Duration {
    let start = Instant::now();
    for error in futures::future::join_all((0..calls).map(|_| send(queue))).await {
        let error = error.expect("the queue cannot be reached");
        assert!(error.contains("no connection") && error.contains("interface endpoint for SQS"), "{error}");
        assert!(error.contains("sqs.eu-central-1.amazonaws.com"), "it names the host: {error}");
    }
    start.elapsed()
}

#[tokio::test(start_paused = true)]
async fn an_unreachable_queue_is_found_out_once() {
    let network = Network::new(|_, _| Answer::NoConnection(NO_ROUTE));
    let queue = queue(AWS, &Environment::new(&KEYS), &network);
    let elapsed = time_of(&queue, 80).await;
    assert!((NO_ROUTE * 4..NO_ROUTE * 4 + Duration::from_millis(700)).contains(&elapsed), "{elapsed:?}");
    assert_eq!(network.sent().len(), 4);
    assert_eq!(time_of(&queue, 80).await, Duration::ZERO, "it is remembered");
    sleep(outage::REMEMBERED).await;
    assert!(time_of(&queue, 80).await >= NO_ROUTE * 4, "it is tried again");
    assert_eq!(network.sent().len(), 8);
}

#[tokio::test(start_paused = true)]
async fn a_route_that_is_lost_is_found_out_once() {
    let network = Network::new(|sent, _| match sent.operation.as_str() {
        "GetQueueAttributes" => accept(sent),
        _ => Answer::NoConnection(NO_ROUTE),
    });
    let queue = queue(AWS, &Environment::new(&KEYS), &network);
    let letters: Vec<_> = (0..10).map(|_| letter()).collect();
    let start = Instant::now();
    // As the processor sends 800 letters: eight calls at a time, with ten letters each.
    let calls = futures::stream::iter(0..80).map(|_| queue.send(&letters)).buffer_unordered(8);
    let answers: Vec<_> = calls.collect().await;
    assert!(answers.iter().flatten().all(Result::is_err));
    assert_eq!(answers.iter().flatten().count(), 800);
    let elapsed = start.elapsed();
    assert!(elapsed < NO_ROUTE * 4 + Duration::from_millis(700), "{elapsed:?}");
    assert!(network.count("SendMessageBatch") <= 32);
}

#[tokio::test(start_paused = true)]
async fn a_route_that_is_back_is_used_after_ten_seconds() {
    let network = Network::new(|sent, earlier| match sent.operation.as_str() {
        "SendMessageBatch" if earlier < 4 => Answer::NoConnection(NO_ROUTE),
        _ => accept(sent),
    });
    let queue = queue(AWS, &Environment::new(&KEYS), &network);
    assert!(send(&queue).await.is_some_and(|error| !error.contains("was not sent")));
    assert!(send(&queue).await.is_some_and(|error| error.contains("was not sent, because an earlier one failed")));
    sleep(outage::REMEMBERED).await;
    assert_eq!(send(&queue).await, None);
    assert_eq!(send(&queue).await, None);
}

#[tokio::test(start_paused = true)]
async fn an_accepted_letter_ends_an_outage() {
    let network = Network::new(|sent, earlier| match (sent.operation.as_str(), earlier) {
        ("SendMessageBatch", 1) => Answer::Late(Duration::from_secs(3)),
        ("SendMessageBatch", 0..=4) => Answer::NoConnection(Duration::from_millis(100)),
        _ => accept(sent),
    });
    let queue = queue(AWS, &Environment::new(&KEYS), &network);
    let (failed, accepted) = tokio::join!(send(&queue), send(&queue));
    assert!(failed.is_some() && accepted.is_none());
    assert_eq!(send(&queue).await, None, "the queue can be reached");
}

#[tokio::test(start_paused = true)]
async fn the_limit_is_read_again_after_a_while() {
    let network = Network::new(|sent, earlier| match (sent.operation.as_str(), earlier) {
        ("GetQueueAttributes", 0) => error(403, "AccessDenied"),
        ("GetQueueAttributes", 2) => error(500, "InternalError"),
        _ => accept(sent),
    });
    let queue = queue(AWS, &Environment::new(&KEYS), &network);
    let mut asked = Vec::new();
    for _ in 0..2 {
        assert_eq!((send(&queue).await, send(&queue).await), (None, None));
        asked.push(network.count("GetQueueAttributes"));
        sleep(LIMIT_KEPT).await;
    }
    assert_eq!(asked, [1, 2]);
}

#[tokio::test(start_paused = true)]
async fn a_limit_that_can_no_longer_be_read_still_counts() {
    let network = Network::new(|sent, earlier| match (sent.operation.as_str(), earlier) {
        ("GetQueueAttributes", 0) => Answer::Json(200, json!({"Attributes": {"MaximumMessageSize": "1024"}})),
        ("GetQueueAttributes", _) => error(500, "InternalError"),
        _ => accept(sent),
    });
    let queue = queue(AWS, &Environment::new(&KEYS), &network);
    assert_eq!(send(&queue).await, None);
    sleep(LIMIT_KEPT).await;
    assert_eq!((send(&queue).await, send(&queue).await), (None, None));
    assert_eq!(network.count("GetQueueAttributes"), 5);
}

#[tokio::test(start_paused = true)]
async fn the_codes_and_statuses_that_are_tried_again() {
    for (status, code, attempts) in [
        (500, Some("Odd"), 4),
        (499, Some("Odd"), 1),
        (400, Some("Odd"), 1),
        (429, Some("Odd"), 4),
        (400, Some("ThrottlingException"), 4),
        (400, None, 1),
        (503, None, 4),
        (200, None, 4),
    ] {
        let network = Network::new(move |sent, _| match (sent.operation.as_str(), code) {
            ("GetQueueAttributes", _) => accept(sent),
            (_, Some(code)) => error(status, code),
            // A success whose body cannot be read is as good as none.
            (_, None) => Answer::Json(status, if status == 200 { json!([]) } else { json!({}) }),
        });
        let refused = send(&queue(AWS, &Environment::new(&KEYS), &network)).await.expect("no letter is accepted");
        let expected = match (status, code) {
            (_, Some(code)) => format!("{AWS} refused the dead letter with {code} (no)"),
            (200, None) => format!("{AWS} gave no answer to the dead letter that can be read"),
            (_, None) => format!("{AWS} refused the dead letter with status {status}"),
        };
        assert!(refused.starts_with(&expected), "{refused}");
        assert_eq!(network.count("SendMessageBatch"), attempts, "{status} {code:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_route_that_is_lost_when_the_limit_is_read_again_is_reported() {
    let network = Network::new(|sent, earlier| match (sent.operation.as_str(), earlier) {
        ("GetQueueAttributes", 1..) => Answer::NoConnection(NO_ROUTE),
        _ => accept(sent),
    });
    let queue = queue(AWS, &Environment::new(&KEYS), &network);
    assert_eq!(send(&queue).await, None);
    sleep(LIMIT_KEPT).await;
    let error = send(&queue).await.expect("there is no route");
    assert!(
        error.contains("no connection") && !error.contains("was not sent"),
        "it is why this letter failed: {error}"
    );
    sleep(outage::REMEMBERED).await;
    assert!(send(&queue).await.is_some());
    assert_eq!(network.count("GetQueueAttributes"), 9, "the limit is asked until the queue says it");
}

#[test]
fn a_queue_shows_its_url_alone() {
    let environment = Environment::new(&KEYS);
    let shown = format!("{:?}", queue(AWS, &environment, &Network::accepting()));
    assert_eq!(shown, format!("SqsDeadLetterQueue {{ url: {AWS:?}, .. }}"));
}

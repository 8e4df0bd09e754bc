//! Single signed calls: what is sent, what comes back, and how often credentials are fetched.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use lambda_streams_local::{CallResponse, SignedCall, Signer};
use serde_json::json;

use crate::fake_aws::{FakeAws, Reply};

/// Counts how often it is asked; its credentials are good for that long.
#[derive(Debug, Clone)]
struct Counted {
    asked: Arc<AtomicUsize>,
    good_for: Option<Duration>,
}

impl ProvideCredentials for Counted {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let expiry = self.good_for.map(|time| SystemTime::now() + time);
        future::ProvideCredentials::ready(Ok(Credentials::new("key", "secret", None, expiry, "tests")))
    }
}

fn signer(good_for: Option<Duration>, answer: impl Fn(&str) -> Reply + Send + Sync + 'static) -> (Signer, Counted) {
    let counted = Counted { asked: Arc::default(), good_for };
    let config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-central-1"))
        .credentials_provider(SharedCredentialsProvider::new(counted.clone()))
        .http_client(FakeAws::new(move |(path, _)| answer(path)))
        .build();
    (Signer::new(&config).expect("it has all that is needed"), counted)
}

fn call() -> SignedCall {
    SignedCall::new("s3", "eu-central-1", "https://s3.eu-central-1.amazonaws.com/")
}

#[tokio::test(start_paused = true)]
async fn the_path_the_query_and_the_bytes_arrive() {
    let asked = Arc::new(Mutex::new(String::new()));
    let seen = Arc::clone(&asked);
    let (signer, _) = signer(None, move |path| {
        path.clone_into(&mut seen.lock().expect("no test panics with it"));
        Reply::Raw(200, vec![("x-amz-version-id", "7")], "\u{1}ü".to_owned())
    });
    let sent = call().path("/bucket/a b").query("list-type", "2").query("prefix", "x/ü").send(&signer).await;
    let response: CallResponse = sent.expect("it is a success");
    assert_eq!(*asked.lock().expect("no test panics with it"), "GET /bucket/a%20b?list-type=2&prefix=x%2F%C3%BC");
    assert_eq!((response.bytes(), response.header("X-Amz-Version-Id")), ("\u{1}ü".as_bytes(), Some("7")));
    assert_eq!(format!("{response:?}"), "CallResponse { bytes: 3, .. }");
}

#[tokio::test(start_paused = true)]
async fn credentials_are_fetched_once_and_before_they_expire() {
    for (good_for, expected) in [(None, 1), (Some(Duration::from_secs(3_600)), 1), (Some(Duration::from_secs(60)), 3)] {
        let (signer, counted) = signer(good_for, |_| Reply::Ok(json!({})));
        for _ in 0..3 {
            call().send(&signer).await.expect("it is a success");
        }
        assert_eq!(counted.asked.load(Ordering::Relaxed), expected, "{good_for:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_has_its_code_and_throttling_is_retried() {
    let tries = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&tries);
    let (signer, _) = signer(None, move |_| match counted.fetch_add(1, Ordering::Relaxed) {
        0 => Reply::Error("RequestThrottled"),
        1 => Reply::Error("KmsThrottled"),
        _ => Reply::Error("AccessDenied"),
    });
    let error = call().send(&signer).await.expect_err("it is refused");
    assert_eq!((error.code(), error.status(), error.is_throttled()), (Some("AccessDenied"), Some(400), false));
    assert_eq!(error.to_string(), "AccessDenied: made up (400)");
    assert_eq!(tries.load(Ordering::Relaxed), 3, "two throttles, and no second try after a denial");
}

#[tokio::test(start_paused = true)]
async fn an_error_without_a_connection_names_its_cause() {
    let (signer, _) = signer(None, |_| Reply::Refused);
    let error = call().send(&signer).await.expect_err("nothing answers");
    assert_eq!((error.code(), error.status()), (None, None));
    assert!(error.to_string().contains("connection refused"), "{error}");
}

#[test]
fn a_configuration_without_credentials_is_refused() {
    let config = SdkConfig::builder().behavior_version(BehaviorVersion::latest()).build();
    let error = Signer::new(&config).expect_err("it has none").to_string();
    assert!(error.starts_with("there are no usable AWS credentials: sign in"), "{error}");
}

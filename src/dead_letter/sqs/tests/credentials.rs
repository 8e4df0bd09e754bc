//! The function's credentials: where they come from, how long they are kept, and what happens when they are refused.

use std::time::Duration;

use serde_json::json;
use tokio::time::sleep;

use super::*;

const CREDENTIALS: &str = "http://127.0.0.1:9001/2021-10-03/credentials";

#[tokio::test(start_paused = true)]
async fn variables_are_read_for_each_request() {
    let network =
        Network::new(|sent, _| if sent.signed().0 == "AKIDOLD" { error(403, "ExpiredToken") } else { accept(sent) });
    let environment = Environment::new(&KEYS);
    let queue = queue(AWS, &environment, &network);
    assert_eq!(send(&queue).await, None);
    environment.set("AWS_ACCESS_KEY_ID", "AKIDOLD");
    let refused = send(&queue).await.expect("they have expired");
    assert!(refused.contains("ExpiredToken (no): check the credentials"), "{refused}");
    assert_eq!(network.count("SendMessageBatch"), 3, "it is sent once more");
    environment.set("AWS_ACCESS_KEY_ID", "AKIDNEW");
    assert_eq!(send(&queue).await, None);
}

/// A network with an endpoint of credentials: each time it gives the next key, valid for this long.
fn with_endpoint(valid: Duration, sqs: impl Fn(&Sent, usize) -> Answer + Send + Sync + 'static) -> Network {
    Network::new(move |sent, earlier| match sent.operation.as_str() {
        "" => {
            assert_eq!((sent.uri.as_str(), sent.authorization.as_str()), (CREDENTIALS, "the-token"));
            let expiration = humantime::format_rfc3339_seconds(crate::clock::time_of_day() + valid).to_string();
            let key_id = format!("AKID{earlier}");
            Answer::Json(
                200,
                json!({"AccessKeyId": key_id, "SecretAccessKey": "s", "Token": "t", "Expiration": expiration}),
            )
        }
        _ => sqs(sent, earlier),
    })
}

const SNAPSTART: [(&str, &str); 2] =
    [("AWS_CONTAINER_CREDENTIALS_FULL_URI", CREDENTIALS), ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "the-token")];

#[tokio::test(start_paused = true)]
async fn the_endpoints_credentials_are_kept_until_they_expire() {
    let network = with_endpoint(Duration::from_secs(3_600), |sent, _| accept(sent));
    let queue = queue(AWS, &Environment::new(&SNAPSTART), &network);
    assert_eq!((send(&queue).await, send(&queue).await), (None, None));
    assert_eq!((network.count(""), network.count("SendMessageBatch")), (1, 2));
    sleep(Duration::from_secs(3_600 - 299)).await;
    assert_eq!(send(&queue).await, None);
    assert_eq!(network.count(""), 2);
    assert_eq!(network.sent().last().map(|sent| sent.signed().0.to_owned()).as_deref(), Some("AKID1"));
}

#[tokio::test(start_paused = true)]
async fn refused_credentials_are_fetched_again_once() {
    let refusing = |bad: &'static [&str]| {
        with_endpoint(Duration::from_secs(3_600), move |sent, _| match sent.operation.as_str() {
            "SendMessageBatch" if bad.contains(&sent.signed().0) => error(403, "ExpiredToken"),
            _ => accept(sent),
        })
    };
    let network = refusing(&["AKID0"]);
    assert_eq!(send(&queue(AWS, &Environment::new(&SNAPSTART), &network)).await, None);
    assert_eq!((network.count(""), network.count("SendMessageBatch")), (2, 2));
    let network = refusing(&["AKID0", "AKID1", "AKID2"]);
    let error = send(&queue(AWS, &Environment::new(&SNAPSTART), &network)).await.expect("all are refused");
    assert!(error.contains("ExpiredToken"), "{error}");
    assert_eq!((network.count(""), network.count("SendMessageBatch")), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn a_token_file_is_read_and_a_relative_uri_completed() {
    let path = std::env::temp_dir().join(format!("token-{}", std::process::id()));
    std::fs::write(&path, "from-a-file\n").expect("the folder can be written to");
    let network = Network::new(|sent, _| match sent.operation.as_str() {
        "" => Answer::Json(200, json!({"AccessKeyId": "AKIDFILE", "SecretAccessKey": "s", "Token": "t"})),
        _ => accept(sent),
    });
    let environment = Environment::new(&[
        ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/credentials/1"),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", path.to_str().expect("text")),
    ]);
    assert_eq!(send(&queue(AWS, &environment, &network)).await, None);
    std::fs::remove_file(path).expect("it is there");
    let sent = network.sent();
    assert_eq!(sent[0].uri, "http://169.254.170.2/v2/credentials/1");
    assert_eq!(sent[0].authorization, "from-a-file");
    assert_eq!(sent.last().expect("a request").signed().0, "AKIDFILE");
}

#[tokio::test(start_paused = true)]
async fn missing_credentials_say_what_to_set() {
    let start = "there are no credentials for the dead-letter queue: ";
    for (variables, expected) in [
        (vec![], "the environment variable `AWS_ACCESS_KEY_ID` or `AWS_CONTAINER_CREDENTIALS_FULL_URI` is not set"),
        (vec![KEYS[0]], "the environment variable `AWS_SECRET_ACCESS_KEY` is not set"),
        (
            vec![("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://example.com/x")],
            "`AWS_CONTAINER_CREDENTIALS_FULL_URI` names neither HTTPS nor this machine: the token is not sent there",
        ),
    ] {
        let network = Network::accepting();
        let error = send(&queue(AWS, &Environment::new(&variables), &network)).await.expect("there are none");
        assert_eq!(error, format!("{start}{expected}"));
        assert!(network.sent().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_without_credentials_is_found_out_once() {
    for (answer, words) in
        [(0, "status 500"), (1, "no response within 2 s"), (2, "cannot be read"), (3, "no connection")]
    {
        let network = Network::new(move |_, _| match answer {
            0 => Answer::Json(500, json!({})),
            1 => Answer::Silence,
            2 => Answer::Json(200, json!({"AccessKeyId": "the-secret"})),
            _ => Answer::NoConnection(Duration::from_secs(1)),
        });
        let queue = queue(AWS, &Environment::new(&SNAPSTART), &network);
        let errors = futures::future::join_all((0..20).map(|_| send(&queue))).await;
        for error in errors {
            let error = error.expect("there are no credentials");
            assert!(error.contains("there are no credentials") && error.contains(words), "{error}");
            assert!(!error.contains("the-secret"), "{error}");
        }
        assert_eq!((network.count(""), network.sent().len()), (4, 4), "{words}");
    }
}

#[tokio::test(start_paused = true)]
async fn credentials_are_used_until_they_expire_if_the_endpoint_is_down() {
    let expires = Duration::from_secs(3_600);
    let first = with_endpoint(expires, |sent, _| accept(sent));
    let network = Network::new(move |sent, earlier| match (sent.operation.as_str(), earlier) {
        ("", 1..) => Answer::Json(500, json!({})),
        _ => (first.play)(sent, earlier),
    });
    let queue = queue(AWS, &Environment::new(&SNAPSTART), &network);
    assert_eq!(send(&queue).await, None);
    sleep(expires - Duration::from_secs(10)).await;
    assert_eq!(send(&queue).await, None, "they are still valid");
    assert!(network.count("") > 1, "new ones were asked for");
    sleep(Duration::from_secs(10)).await;
    let error = send(&queue).await.expect("they have expired");
    assert!(error.contains("their endpoint responded with status 500"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn credentials_that_do_not_say_when_they_expire_are_kept_for_a_while() {
    let network = Network::new(|sent, _| match sent.operation.as_str() {
        "" => Answer::Json(200, json!({"AccessKeyId": "AKID", "SecretAccessKey": "s"})),
        _ => accept(sent),
    });
    let queue = queue(AWS, &Environment::new(&SNAPSTART), &network);
    for (after, fetches) in [(0, 1), (9, 1), (2, 2)] {
        sleep(Duration::from_secs(after * 60)).await;
        assert_eq!(send(&queue).await, None);
        assert_eq!(network.count(""), fetches, "five of the fifteen minutes before their end they are fetched again");
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_that_is_not_about_credentials_leaves_them() {
    let network = with_endpoint(Duration::from_secs(3_600), |sent, earlier| match sent.operation.as_str() {
        "SendMessageBatch" if earlier == 0 => error(503, "ServiceUnavailable"),
        _ => accept(sent),
    });
    assert_eq!(send(&queue(AWS, &Environment::new(&SNAPSTART), &network)).await, None);
    assert_eq!((network.count(""), network.count("SendMessageBatch")), (1, 2));
}

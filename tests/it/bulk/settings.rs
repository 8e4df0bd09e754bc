//! The settings of a bulk, and which of them `build` refuses.

use std::time::Duration;

use lambda_streams::{BulkFailures, ErrorKind, HandlerError, Lanes, Record, RetryPolicy, StreamProcessor, bulk};

use super::{Says, Sink, sink};
use crate::support::{inserts, process};

#[test]
fn settings_that_make_no_sense_are_refused() {
    async fn take(_: Vec<Record>) -> Result<(), HandlerError> {
        Ok(())
    }
    let message =
        |bulk, lanes| StreamProcessor::builder().on_record(bulk).lanes(lanes).build().unwrap_err().to_string();
    assert_eq!(
        message(bulk(take).max_records(0), Lanes::PerItem),
        "`max_records` of a bulk handler is 0: it must be at least 1"
    );
    assert_eq!(
        message(bulk(take).max_bytes(0), Lanes::PerItem),
        "`max_bytes` of a bulk handler is 0: it must be at least 1"
    );
    assert_eq!(
        message(bulk(take).timeout(Duration::ZERO), Lanes::PerItem),
        "`timeout` of a bulk handler is zero: it must be longer"
    );
    assert_eq!(
        message(bulk(take), Lanes::WholeBatch),
        "a bulk holds one record of each lane, so each bulk would be one record under `Lanes::WholeBatch`: choose other \
         lanes, or `within_lane` if the sink applies a request in order"
    );
    let unordered = StreamProcessor::builder().on_record(bulk(take).latest_only()).lanes(Lanes::Unordered).build();
    assert_eq!(
        unordered.unwrap_err().to_string(),
        "`latest_only` needs the order of an item, which `Lanes::Unordered` does not keep"
    );
    for (bulk, lanes) in [(bulk(take).within_lane(), Lanes::WholeBatch), (bulk(take), Lanes::Unordered)] {
        StreamProcessor::builder().on_record(bulk).lanes(lanes).build().unwrap();
    }
    let twice = StreamProcessor::builder().on_record(bulk(take)).on_record(bulk(take)).build().unwrap_err();
    assert!(twice.to_string().contains("two handlers for the same changes"), "{twice}");
}

#[tokio::test(start_paused = true)]
async fn a_bulk_may_have_a_timeout_of_its_own() {
    let times = |own: Option<u64>| async move {
        let left = std::sync::Arc::new(std::sync::Mutex::new(None));
        let keep = std::sync::Arc::clone(&left);
        let handler = bulk(move |records: Vec<Record>| {
            *keep.lock().unwrap() = records[0].context().time_left();
            async { std::future::pending::<BulkFailures>().await }
        });
        let handler = own.map_or(handler.clone(), |seconds| handler.timeout(Duration::from_secs(seconds)));
        let processor = StreamProcessor::builder()
            .on_record(handler)
            .handler_timeout(Duration::from_secs(20))
            .retry(RetryPolicy::none())
            .build()
            .unwrap();
        let begun = tokio::time::Instant::now();
        let report = process(&processor, &inserts(2)).await;
        assert_eq!(report.records()[0].failure.as_ref().unwrap().kind, ErrorKind::Timeout);
        (begun.elapsed().as_secs(), left.lock().unwrap().unwrap().as_secs())
    };
    assert_eq!(times(None).await, (20, 20));
    assert_eq!(times(Some(5)).await, (5, 5));
    assert_eq!(times(Some(50)).await, (50, 50));
}

#[cfg(feature = "emf")]
#[tokio::test(start_paused = true)]
async fn metrics_tell_the_size_of_each_bulk_and_the_duration_of_each_call() {
    use crate::support::emf::{Written, numbers};

    let written = Written::default();
    let emf =
        lambda_streams::Emf::builder().namespace("Orders").service("stream").writer(written.clone()).build().unwrap();
    let sink = Sink::slow(|_, _| (Duration::from_millis(5), Says::Done));
    let processor = StreamProcessor::builder().on_record(sink!(sink).max_records(4)).build().unwrap();
    let recorder = metrics::set_default_local_recorder(&emf);
    process(&processor, &inserts(10)).await;
    emf.flush();
    drop(recorder);
    let documents = written.documents();
    let numbers = |name| numbers(&documents, name, &["service"]);
    assert_eq!(numbers("BulkSize"), [4.0, 4.0, 2.0]);
    assert_eq!(numbers("HandlerDuration"), [5.0, 5.0, 5.0]);
    assert_eq!(numbers("BatchSize"), [10.0]);
}

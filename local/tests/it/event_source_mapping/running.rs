//! How a run begins and ends.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use lambda_streams_local::{
    EventSourceMapping, Function, InvokeError, Page, Position, Response, Settings, Shard, ShardIterator, Source,
    SourceError, SourceRecord, StartingPosition,
};

use super::support::{FUNCTION, STREAM, Scripted, function_error, records, source, try_run};

async fn after(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

#[tokio::test(start_paused = true)]
async fn a_stop_waits_for_what_is_in_flight() {
    let function = Scripted::new([]).taking(Duration::from_secs(10));
    let settings = Settings { batch_size: 2, ..Settings::default() };
    let mapping = EventSourceMapping::new(settings, source(records(7)), function.clone()).expect("right settings");
    let begun = tokio::time::Instant::now();
    let summary = mapping.run(after(15)).await.expect("it ends well");
    assert_eq!(begun.elapsed().as_secs(), 20);
    assert_eq!(function.batches(), [vec![1, 2], vec![3, 4]]);
    assert_eq!((summary.read, summary.done, summary.left), (7, 4, 3));
}

#[tokio::test(start_paused = true)]
async fn a_stop_ends_the_wait_for_a_retry() {
    let function = Scripted::by_rule(|_| function_error());
    let mapping = EventSourceMapping::new(Settings::default(), source(records(3)), function).expect("right settings");
    let begun = tokio::time::Instant::now();
    let summary = mapping.run(after(100)).await.expect("it ends well");
    assert_eq!(begun.elapsed().as_secs(), 100);
    assert_eq!((summary.done, summary.discarded, summary.left), (0, 0, 3));
}

#[tokio::test(start_paused = true)]
async fn dropping_the_run_stops_at_once_and_the_summary_stays() {
    let function = Scripted::new([]).taking(Duration::from_secs(10));
    let settings = Settings { batch_size: 2, ..Settings::default() };
    let mapping = EventSourceMapping::new(settings, source(records(6)), function.clone()).expect("right settings");
    tokio::time::timeout(Duration::from_secs(15), mapping.run(std::future::pending()))
        .await
        .expect_err("it is dropped");
    after(60).await;
    assert_eq!(function.batches().len(), 2, "nothing is sent after it");
    assert_eq!((mapping.summary().done, mapping.summary().invocations), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn a_function_that_cannot_be_invoked_ends_the_run() {
    struct Gone;

    impl Function for Gone {
        async fn invoke(&self, _: String, _: Duration) -> Result<Response, InvokeError> {
            Err(InvokeError::new("the bootstrap is not there"))
        }

        fn function_arn(&self) -> String {
            FUNCTION.to_owned()
        }
    }

    let error = try_run(Settings::default(), source(records(1)), Gone).await.err().expect("it cannot run");
    assert!(error.is_invoke() && !error.is_source());
    assert_eq!(error.to_string(), "the function cannot be invoked: the bootstrap is not there");
}

/// A stream that grows a shard after the first listing, and can fail.
struct Growing {
    listings: Mutex<usize>,
    opened: Arc<Mutex<Vec<(String, Position)>>>,
    fails: bool,
}

impl Growing {
    fn new(fails: bool) -> Self {
        Self { listings: Mutex::new(0), opened: Arc::default(), fails }
    }
}

impl Source for Growing {
    fn stream_arn(&self) -> String {
        STREAM.to_owned()
    }

    async fn shards(&self) -> Result<Vec<Shard>, SourceError> {
        let mut listings = self.listings.lock().expect("no test panics with it");
        *listings += 1;
        let shard = |id: &str, parent: Option<&str>| Shard { id: id.to_owned(), parent: parent.map(str::to_owned) };
        Ok(match *listings {
            1 => vec![shard("a", None)],
            _ => vec![shard("a", None), shard("b", Some("a"))],
        })
    }

    async fn open(&self, shard: &str, from: &Position) -> Result<ShardIterator, SourceError> {
        self.opened.lock().expect("no test panics with it").push((shard.to_owned(), from.clone()));
        Ok(ShardIterator { shard: shard.to_owned(), token: String::new(), last: None })
    }

    async fn read(&self, iterator: ShardIterator) -> Result<Page, SourceError> {
        if self.fails && iterator.shard == "b" {
            return Err(SourceError::new("shard b is gone: start again with TRIM_HORIZON"));
        }
        let records = records(2).into_iter().map(SourceRecord::from_json).collect::<Result<_, _>>()?;
        Ok(Page { records, next: None })
    }
}

#[tokio::test(start_paused = true)]
async fn latest_applies_to_existing_shards_alone() {
    for (position, first) in
        [(StartingPosition::Latest, Position::Latest), (StartingPosition::TrimHorizon, Position::TrimHorizon)]
    {
        let stream = Growing::new(false);
        let opened = Arc::clone(&stream.opened);
        let settings = Settings { starting_position: position, ..Settings::default() };
        let mapping = EventSourceMapping::new(settings, stream, Scripted::new([])).expect("right settings");
        let summary = mapping.run(std::future::pending()).await.expect("it ends well");
        let expected = [("a".to_owned(), first), ("b".to_owned(), Position::TrimHorizon)];
        assert_eq!(*opened.lock().expect("no test panics with it"), expected);
        assert_eq!((summary.done, summary.shards_closed), (4, 2));
    }
}

#[tokio::test(start_paused = true)]
async fn an_unreadable_stream_ends_the_run_with_its_summary() {
    let mapping =
        EventSourceMapping::new(Settings::default(), Growing::new(true), Scripted::new([])).expect("right settings");
    let error = mapping.run(std::future::pending()).await.expect_err("it cannot be read");
    assert!(error.is_source());
    assert_eq!(error.to_string(), "the stream cannot be read: shard b is gone: start again with TRIM_HORIZON");
    assert_eq!(mapping.summary().done, 2);
}

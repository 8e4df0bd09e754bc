//! When a run is idle, and what it begins and ends with in shards that are open, closed or slow.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use lambda_streams_local::{
    EventSourceMapping, Page, Position, Settings, Shard, ShardIterator, Source, SourceError, SourceRecord,
    StartingPosition, Summary, WarningKind,
};
use tokio::time::{Instant, sleep};

use super::support::{STREAM, Scripted, records};

const IDLE: Duration = Duration::from_secs(2);

/// A shard of a stream that a test describes.
struct Described {
    shard: Shard,
    /// When each record was written.
    records: Vec<(Duration, String)>,
    /// When it was closed, if it was.
    closed: Option<Duration>,
    /// When it is listed for the first time.
    listed: Duration,
    /// How many empty pages come before the first record.
    empty_pages: usize,
    /// How long each read takes.
    read_takes: Vec<Duration>,
}

impl Described {
    fn new(id: &str, parent: Option<&str>) -> Self {
        Self {
            shard: Shard { id: id.to_owned(), parent: parent.map(str::to_owned) },
            records: Vec::new(),
            closed: None,
            listed: Duration::ZERO,
            empty_pages: 0,
            read_takes: Vec::new(),
        }
    }

    fn with(mut self, records: &[(u64, u64)]) -> Self {
        let record = |&(second, number): &(u64, u64)| {
            let record = super::support::record_of(number, &format!("i{number}"), SystemTime::now());
            (Duration::from_secs(second), record)
        };
        self.records = records.iter().map(record).collect();
        self
    }

    fn closed(mut self, second: u64) -> Self {
        self.closed = Some(Duration::from_secs(second));
        self
    }
}

struct Stream {
    shards: Vec<Described>,
    listing_takes: Duration,
    begun: Instant,
}

impl Stream {
    fn new(shards: Vec<Described>) -> Self {
        Self { shards, listing_takes: Duration::ZERO, begun: Instant::now() }
    }

    fn shard(&self, id: &str) -> &Described {
        self.shards.iter().find(|known| known.shard.id == id).expect("it was listed")
    }

    fn written(&self, shard: &Described) -> usize {
        shard.records.iter().filter(|(at, _)| *at <= self.begun.elapsed()).count()
    }
}

impl Source for Stream {
    fn stream_arn(&self) -> String {
        STREAM.to_owned()
    }

    async fn shards(&self) -> Result<Vec<Shard>, SourceError> {
        sleep(self.listing_takes).await;
        let listed = self.shards.iter().filter(|known| known.listed <= self.begun.elapsed());
        Ok(listed.map(|known| known.shard.clone()).collect())
    }

    async fn open(&self, shard: &str, from: &Position) -> Result<ShardIterator, SourceError> {
        let start = if *from == Position::Latest { self.written(self.shard(shard)) } else { 0 };
        Ok(ShardIterator { shard: shard.to_owned(), token: format!("0 {start}"), last: None })
    }

    /// The token: how many reads there were, and how many records they gave.
    async fn read(&self, iterator: ShardIterator) -> Result<Page, SourceError> {
        let (reads, start) = iterator.token.split_once(' ').expect("our own token");
        let (reads, start): (usize, usize) = (reads.parse().expect("a number"), start.parse().expect("a number"));
        let shard = self.shard(&iterator.shard);
        sleep(shard.read_takes.get(reads).copied().unwrap_or_default()).await;
        let end = if reads < shard.empty_pages { start } else { self.written(shard).max(start) };
        let records = shard.records[start..end].iter().map(|(_, json)| SourceRecord::from_json(json.clone()));
        let records = records.collect::<Result<_, _>>()?;
        let is_closed = shard.closed.is_some_and(|at| at <= self.begun.elapsed());
        let is_over = is_closed && end == shard.records.len() && reads >= shard.empty_pages;
        let next = (!is_over).then(|| ShardIterator { token: format!("{} {end}", reads + 1), ..iterator });
        Ok(Page { records, next })
    }
}

async fn run_until_idle(settings: Settings, stream: Stream, function: &Scripted) -> Summary {
    let mapping = EventSourceMapping::new(settings, stream, function.clone()).expect("right settings");
    mapping.stop_when_idle(IDLE).run(std::future::pending()).await.expect("it ends well")
}

fn latest() -> Settings {
    Settings { starting_position: StartingPosition::Latest, ..Settings::default() }
}

#[tokio::test(start_paused = true)]
async fn latest_holds_for_a_shard_that_waits_for_its_parent() {
    // The parent is slow to end; meanwhile a record is written to the child that was there at the start.
    let mut parent = Described::new("parent", None).with(&[(0, 1), (0, 2)]).closed(0);
    parent.read_takes = vec![Duration::from_secs(5)];
    let child = Described::new("child", Some("parent")).with(&[(0, 3), (0, 4), (2, 5)]).closed(6);
    let function = Scripted::new([]);
    let summary = run_until_idle(latest(), Stream::new(vec![child, parent]), &function).await;
    assert_eq!(function.batches(), [vec![5]], "neither what is older than the run, nor less than what came during it");
    assert_eq!((summary.shards_opened, summary.shards_closed), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn trim_horizon_reads_parent_and_child_in_order() {
    let parent = Described::new("parent", None).with(&[(0, 1)]).closed(0);
    let child = Described::new("child", Some("parent")).with(&[(0, 2)]).closed(0);
    let function = Scripted::new([]);
    run_until_idle(Settings::default(), Stream::new(vec![child, parent]), &function).await;
    assert_eq!(function.batches(), [vec![1], vec![2]]);
}

#[tokio::test(start_paused = true)]
async fn a_read_in_flight_is_not_idleness() {
    // The first read is throttled for a minute, or the third is.
    for slow_read in [0, 2] {
        let mut shard = Described::new("shardId-1", None).with(&[(1, 1)]);
        shard.empty_pages = slow_read;
        shard.read_takes = vec![Duration::ZERO; slow_read];
        shard.read_takes.push(Duration::from_secs(60));
        let function = Scripted::new([]);
        let summary = run_until_idle(Settings::default(), Stream::new(vec![shard]), &function).await;
        assert_eq!((summary.read, summary.done), (1, 1), "read {slow_read}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_listing_in_flight_is_not_idleness() {
    let shard = Described::new("shardId-1", None).with(&[(0, 1)]);
    let stream = Stream { listing_takes: Duration::from_secs(30), ..Stream::new(vec![shard]) };
    let summary = run_until_idle(Settings::default(), stream, &Scripted::new([])).await;
    assert_eq!((summary.shards_opened, summary.done), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn one_slow_shard_of_two_is_not_idleness() {
    let quick = Described::new("quick", None).with(&[(0, 1)]);
    let mut slow = Described::new("slow", None).with(&[(1, 2)]);
    slow.read_takes = vec![Duration::ZERO, Duration::from_secs(20)];
    let summary = run_until_idle(Settings::default(), Stream::new(vec![quick, slow]), &Scripted::new([])).await;
    assert_eq!(summary.done, 2);
}

#[tokio::test(start_paused = true)]
async fn a_sparse_closed_shard_is_read_to_its_end() {
    let mut parent = Described::new("parent", None).with(&[(0, 1)]).closed(0);
    parent.empty_pages = 1_000;
    let child = Described::new("child", Some("parent")).with(&[(0, 2)]);
    let function = Scripted::new([]);
    run_until_idle(Settings::default(), Stream::new(vec![parent, child]), &function).await;
    assert_eq!(function.batches(), [vec![1], vec![2]], "250 s of empty pages, with an idle time of 2 s");
}

#[tokio::test(start_paused = true)]
async fn a_shard_that_has_just_ended_is_not_idleness() {
    // Its last read takes a minute, and its child is listed only then.
    let mut parent = Described::new("parent", None).closed(0);
    parent.read_takes = vec![Duration::from_secs(65)];
    let mut child = Described::new("child", Some("parent")).with(&[(0, 1)]);
    child.listed = Duration::from_secs(65);
    let summary = run_until_idle(Settings::default(), Stream::new(vec![parent, child]), &Scripted::new([])).await;
    assert_eq!((summary.shards_opened, summary.done), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn an_open_shard_without_records_is_idle() {
    let begun = Instant::now();
    let stream = Stream::new(vec![Described::new("shardId-1", None), Described::new("shardId-2", None)]);
    let summary = run_until_idle(Settings::default(), stream, &Scripted::new([])).await;
    assert_eq!((summary.read, summary.shards_closed), (0, 0));
    let poll = Duration::from_millis(250);
    assert!((IDLE..=IDLE + poll).contains(&begun.elapsed()), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_stream_without_shards_is_idle() {
    let begun = Instant::now();
    run_until_idle(Settings::default(), Stream::new(Vec::new()), &Scripted::new([])).await;
    assert_eq!(begun.elapsed().as_secs(), IDLE.as_secs());
}

#[tokio::test(start_paused = true)]
async fn an_open_tumbling_window_is_not_idleness() {
    let function = Scripted::by_rule(|_| lambda_streams_local::Response::Returned(r#"{"state":{}}"#.to_owned()));
    let settings = Settings { tumbling_window_in_seconds: 900, ..Settings::default() };
    let stream = Stream::new(vec![Described::new("shardId-1", None).with(&[(0, 1)])]);
    let summary = run_until_idle(settings, stream, &function).await;
    assert_eq!(function.batches(), [vec![1], vec![]]);
    assert!(summary.warnings.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_stop_in_an_open_window_says_that_its_state_is_lost() {
    let function = Scripted::by_rule(|_| lambda_streams_local::Response::Returned(r#"{"state":{}}"#.to_owned()));
    let settings = Settings { tumbling_window_in_seconds: 900, ..Settings::default() };
    let stream = Stream::new(vec![Described::new("shardId-1", None).with(&[(0, 1)])]);
    let mapping = EventSourceMapping::new(settings, stream, function.clone()).expect("right settings");
    let summary = mapping.run(sleep(Duration::from_millis(500))).await.expect("it ends well");
    assert_eq!(function.batches(), [vec![1]]);
    assert_eq!(summary.warnings.iter().map(|warning| warning.kind).collect::<Vec<_>>(), [WarningKind::WindowLost]);
}

#[tokio::test(start_paused = true)]
async fn a_long_lineage_is_listed_once() {
    /// Counts the listings.
    struct Counting(Stream, std::sync::atomic::AtomicUsize);

    impl Source for Counting {
        fn stream_arn(&self) -> String {
            self.0.stream_arn()
        }

        async fn shards(&self) -> Result<Vec<Shard>, SourceError> {
            self.1.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            self.0.shards().await
        }

        async fn open(&self, shard: &str, from: &Position) -> Result<ShardIterator, SourceError> {
            self.0.open(shard, from).await
        }

        async fn read(&self, iterator: ShardIterator) -> Result<Page, SourceError> {
            self.0.read(iterator).await
        }
    }

    let name = |number: usize| format!("shard-{number}");
    let shards = (0..500_usize).map(|number| {
        let parent = number.checked_sub(1).map(name);
        Described::new(&name(number), parent.as_deref()).closed(0)
    });
    let source = Arc::new(Counting(Stream::new(shards.collect()), 0.into()));
    let mapping =
        EventSourceMapping::new(Settings::default(), Arc::clone(&source), Scripted::new([])).expect("right settings");
    let summary = mapping.run(std::future::pending()).await.expect("it ends well");
    assert_eq!(summary.shards_closed, 500);
    assert_eq!(source.1.load(std::sync::atomic::Ordering::Relaxed), 2, "at the start, and after the last shard");
}

#[tokio::test(start_paused = true)]
async fn a_failed_read_waits_for_what_is_in_flight() {
    /// Three records, and then an error.
    struct Failing;

    impl Source for Failing {
        fn stream_arn(&self) -> String {
            STREAM.to_owned()
        }

        async fn shards(&self) -> Result<Vec<Shard>, SourceError> {
            Ok(vec![Shard { id: "shardId-1".to_owned(), parent: None }])
        }

        async fn open(&self, shard: &str, _: &Position) -> Result<ShardIterator, SourceError> {
            Ok(ShardIterator { shard: shard.to_owned(), token: String::new(), last: None })
        }

        async fn read(&self, iterator: ShardIterator) -> Result<Page, SourceError> {
            if !iterator.token.is_empty() {
                sleep(Duration::from_secs(1)).await;
                return Err(SourceError::new("the stream is gone"));
            }
            let records = records(3).into_iter().map(SourceRecord::from_json).collect::<Result<_, _>>()?;
            Ok(Page { records, next: Some(ShardIterator { token: "read".to_owned(), ..iterator }) })
        }
    }

    let function = Scripted::new([]).taking(Duration::from_secs(10));
    let settings = Settings { batch_size: 2, ..Settings::default() };
    let begun = Instant::now();
    let mapping = EventSourceMapping::new(settings, Failing, function.clone()).expect("right settings");
    let error = mapping.run(std::future::pending()).await.expect_err("it cannot be read");
    assert!(error.is_source());
    let summary = mapping.summary();
    assert_eq!((summary.read, summary.done, summary.left), (3, 2, 1));
    assert_eq!((function.batches(), begun.elapsed().as_secs()), (vec![vec![1, 2]], 10));
}

//! When a batch is sent, and what is in it.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use lambda_streams_local::{
    BatchAssignment, EventSourceMapping, MemorySource, Page, Position, Settings, Shard, ShardIterator, Source,
    SourceError, SourceRecord, Unspecified,
};

use super::support::{STREAM, Scripted, record_of, records, run, source};

/// One shard whose pages come at set times.
struct Pages(Vec<(Duration, Vec<String>)>, tokio::time::Instant);

impl Pages {
    fn new(pages: Vec<(u64, Vec<String>)>) -> Self {
        let pages = pages.into_iter().map(|(second, records)| (Duration::from_secs(second), records)).collect();
        Self(pages, tokio::time::Instant::now())
    }
}

impl Source for Pages {
    fn stream_arn(&self) -> String {
        STREAM.to_owned()
    }

    async fn shards(&self) -> Result<Vec<Shard>, SourceError> {
        Ok(vec![Shard { id: "shardId-1".to_owned(), parent: None }])
    }

    async fn open(&self, shard: &str, _: &Position) -> Result<ShardIterator, SourceError> {
        Ok(ShardIterator { shard: shard.to_owned(), token: "0".to_owned(), last: None })
    }

    async fn read(&self, iterator: ShardIterator) -> Result<Page, SourceError> {
        let index: usize = iterator.token.parse().expect("our own token");
        let (at, records) = &self.0[index];
        if self.1.elapsed() < *at {
            return Ok(Page { records: Vec::new(), next: Some(iterator) });
        }
        let records = records.iter().map(SourceRecord::from_json).collect::<Result<_, _>>()?;
        let next = (index + 1 < self.0.len()).then(|| ShardIterator { token: (index + 1).to_string(), ..iterator });
        Ok(Page { records, next })
    }
}

#[tokio::test(start_paused = true)]
async fn a_batch_has_at_most_the_batch_size() {
    let function = Scripted::new([]);
    run(Settings { batch_size: 4, ..Settings::default() }, source(records(10)), &function).await;
    assert_eq!(function.batches().iter().map(Vec::len).collect::<Vec<_>>(), [4, 4, 2]);
}

#[tokio::test(start_paused = true)]
async fn a_batch_has_100_records_by_default_and_10000_at_most() {
    for (settings, sizes) in [
        (Settings::default(), vec![100, 100, 50]),
        (Settings { batch_size: 10_000, maximum_batching_window_in_seconds: 1, ..Settings::default() }, vec![250]),
    ] {
        let function = Scripted::new([]);
        run(settings, source(records(250)), &function).await;
        assert_eq!(function.batches().iter().map(Vec::len).collect::<Vec<_>>(), sizes);
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_window_a_batch_is_sent_at_once() {
    let pages = Pages::new(vec![(0, records(2)), (3, records(1))]);
    let function = Scripted::new([]);
    let mapping = EventSourceMapping::new(Settings::default(), pages, function.clone()).expect("right settings");
    mapping.run(std::future::pending()).await.expect("it ends well");
    assert_eq!(function.batches(), [vec![1, 2], vec![1]]);
    assert_eq!(function.seconds(), [0.0, 3.0], "an empty page is not the end, and is read again four times a second");
}

#[tokio::test(start_paused = true)]
async fn a_batching_window_waits_for_a_full_batch() {
    let all = records(9);
    let pages = Pages::new(vec![
        (0, all[..2].to_vec()),
        (4, all[2..3].to_vec()),
        (20, all[3..8].to_vec()),
        (60, all[8..].to_vec()),
    ]);
    let settings = Settings { batch_size: 5, maximum_batching_window_in_seconds: 10, ..Settings::default() };
    let function = Scripted::new([]);
    let mapping = EventSourceMapping::new(settings, pages, function.clone()).expect("right settings");
    mapping.run(std::future::pending()).await.expect("it ends well");
    assert_eq!(function.batches(), [vec![1, 2, 3], vec![4, 5, 6, 7, 8], vec![9]]);
    assert_eq!(function.seconds(), [10.0, 20.0, 60.0], "the last is sent since the shard is closed");
}

#[tokio::test(start_paused = true)]
async fn a_mapping_whose_batch_waits_is_not_idle() {
    let pages = Pages::new(vec![(0, records(2)), (60, Vec::new())]);
    let settings = Settings { maximum_batching_window_in_seconds: 10, ..Settings::default() };
    let function = Scripted::new([]);
    let mapping = EventSourceMapping::new(settings, pages, function.clone()).expect("right settings");
    let mapping = mapping.stop_when_idle(Duration::from_secs(1));
    let summary = mapping.run(std::future::pending()).await.expect("it ends well");
    assert_eq!((function.batches(), summary.done, summary.left), (vec![vec![1, 2]], 2, 0));
}

#[tokio::test(start_paused = true)]
async fn a_payload_has_at_most_6_mb() {
    let filler = "x".repeat(1_000_000);
    let records: Vec<String> = (1..=14)
        .map(|number| {
            record_of(number, "a", SystemTime::now()).replace("\"n\":", &format!("\"f\":{{\"S\":\"{filler}\"}},\"n\":"))
        })
        .collect();
    let function = Scripted::new([]);
    let settings = Settings { maximum_batching_window_in_seconds: 300, ..Settings::default() };
    run(settings, source(records), &function).await;
    assert_eq!(function.batches().iter().map(Vec::len).collect::<Vec<_>>(), [6, 6, 2]);
    assert!(function.calls().iter().all(|call| call.event.to_string().len() <= 6 * 1_048_576));
}

fn of_items(items: u64, each: u64) -> Vec<String> {
    (0..items * each).map(|at| record_of(at + 1, &format!("item {}", at % items), SystemTime::now())).collect()
}

#[tokio::test(start_paused = true)]
async fn concurrent_batches_of_a_shard_keep_the_order_of_every_item() {
    for batch_assignment in [BatchAssignment::Hashed, BatchAssignment::Random] {
        for seed in 0..20 {
            let unspecified = Unspecified { batch_assignment, seed, ..Unspecified::default() };
            let settings = Settings { parallelization_factor: 4, batch_size: 3, unspecified, ..Settings::default() };
            let function = Scripted::new([]).taking(Duration::from_secs(1));
            let ran = run(settings, source(of_items(7, 9)), &function).await;
            assert_eq!(ran.summary.done, 63);
            let mut last: HashMap<u64, u64> = HashMap::new();
            for number in function.batches().concat() {
                let before = last.insert((number - 1) % 7, number);
                assert!(before < Some(number), "{batch_assignment:?}, seed {seed}");
            }
            let at_once = function.seconds().iter().filter(|second| **second == 0.0).count();
            assert!((2..=4).contains(&at_once), "{at_once} at once");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn random_assignment_repeats_with_its_seed() {
    let mut seen = Vec::new();
    for seed in [1, 2, 1] {
        let unspecified = Unspecified { batch_assignment: BatchAssignment::Random, seed, ..Unspecified::default() };
        let settings = Settings { parallelization_factor: 3, batch_size: 5, unspecified, ..Settings::default() };
        let function = Scripted::new([]).taking(Duration::from_secs(1));
        run(settings, source(of_items(9, 6)), &function).await;
        seen.push(function.batches());
    }
    assert_eq!(seen[0], seen[2]);
    assert_ne!(seen[0], seen[1]);
}

#[tokio::test(start_paused = true)]
async fn a_child_shard_waits_for_its_parent() {
    let all = records(6);
    let source = MemorySource::new(STREAM)
        .shard("child", Some("parent"), all[2..4].to_vec())
        .and_then(|source| source.shard("grandchild", Some("child"), all[4..].to_vec()))
        .and_then(|source| source.shard("parent", Some("trimmed"), all[..2].to_vec()))
        .expect("records are JSON");
    let function = Scripted::new([super::support::function_error()]).taking(Duration::from_secs(2));
    let ran = run(Settings::default(), source, &function).await;
    assert_eq!(function.batches(), [vec![1, 2], vec![1, 2], vec![3, 4], vec![5, 6]]);
    assert_eq!((ran.summary.shards_opened, ran.summary.shards_closed), (3, 3));
}

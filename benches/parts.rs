//! Each part by record count and item size, and failures, with divan's statistics.
//!
//! `cargo bench --bench parts [-- FILTER]`

use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};
use lambda_streams::{
    DeadLetter, DeadLetterError, DeadLetterQueue, Deadline, Lanes, Record, StreamEvent, StreamProcessor,
};
use lambda_streams_benches::{Item, Shape, by_hand, counting, payload, processor};

const COUNTS: [usize; 4] = [1, 100, 1_000, 10_000];

fn main() {
    divan::main();
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    runtime.block_on(future)
}

async fn process(processor: &StreamProcessor, body: &[u8]) {
    black_box(processor.process_payload(body.to_vec(), Deadline::none()).await.expect("a stream event"));
}

fn bench(bencher: Bencher<'_, '_>, processor: &StreamProcessor, shape: Shape) {
    let body = payload(shape);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    bencher
        .counter(ItemsCount::new(shape.records))
        .counter(BytesCount::new(body.len()))
        .bench_local(|| runtime.block_on(process(processor, &body)));
}

mod whole_batch {
    use super::*;

    #[divan::bench(args = COUNTS)]
    fn ours(bencher: Bencher<'_, '_>, records: usize) {
        bench(bencher, &processor(|builder| builder), Shape::of(records));
    }

    #[divan::bench(args = COUNTS)]
    fn written_by_hand(bencher: Bencher<'_, '_>, records: usize) {
        let body = payload(Shape::of(records));
        bencher.counter(ItemsCount::new(records)).bench_local(|| block_on(by_hand(body.to_vec())));
    }

    /// A text of this many bytes in each image.
    #[divan::bench(args = [0, 1_000, 10_000, 100_000])]
    fn by_item_size(bencher: Bencher<'_, '_>, padding: usize) {
        bench(bencher, &processor(|builder| builder), Shape { padding, ..Shape::of(20) });
    }
}

/// The envelopes alone: no handler takes the records' kind.
#[divan::bench(args = COUNTS)]
fn envelopes(bencher: Bencher<'_, '_>, records: usize) {
    let body = payload(Shape::of(records));
    bencher
        .counter(ItemsCount::new(records))
        .counter(BytesCount::new(body.len()))
        .bench_local(|| StreamEvent::from_slice(black_box(&body)).expect("a stream event"));
}

mod decode {
    use super::*;

    fn image() -> String {
        let event: serde_json::Value = serde_json::from_slice(&payload(Shape::of(1))).expect("JSON");
        event["Records"][0]["dynamodb"]["NewImage"].to_string()
    }

    #[divan::bench]
    fn ours(bencher: Bencher<'_, '_>) {
        let image = image();
        bencher
            .counter(BytesCount::new(image.len()))
            .bench(|| lambda_streams::from_image::<Item>(black_box(&image)).expect("an item"));
    }

    fn item() -> Item {
        lambda_streams::from_image(&image()).expect("an item")
    }

    /// The strings and lists of the item alone: no decoder can be faster.
    #[divan::bench]
    fn clone_and_drop(bencher: Bencher<'_, '_>) {
        let item = item();
        bencher.bench(|| black_box(&item).clone());
    }

    /// The same item from JSON without DynamoDB's types around its values, which is a quarter shorter.
    #[divan::bench]
    fn serde_json_from_plain_json(bencher: Bencher<'_, '_>) {
        let json = serde_json::to_string(&item()).expect("JSON");
        bencher
            .counter(BytesCount::new(json.len()))
            .bench(|| serde_json::from_str::<Item>(black_box(&json)).expect("an item"));
    }

    #[divan::bench]
    fn serde_dynamo_from_text(bencher: Bencher<'_, '_>) {
        let image = image();
        bencher.counter(BytesCount::new(image.len())).bench(|| {
            let item: serde_dynamo::Item = serde_json::from_str(black_box(&image)).expect("an item");
            serde_dynamo::from_item::<_, Item>(item).expect("an item")
        });
    }
}

/// Records without images and an empty handler: envelope, keys, lanes, permit, guard and report.
mod lanes {
    use super::*;

    fn shape(records: usize, items: usize) -> Shape {
        Shape { images: false, items, ..Shape::of(records) }
    }

    #[divan::bench(args = COUNTS)]
    fn an_item_each(bencher: Bencher<'_, '_>, records: usize) {
        bench(bencher, &counting(), shape(records, records));
    }

    #[divan::bench(args = COUNTS)]
    fn ten_records_an_item(bencher: Bencher<'_, '_>, records: usize) {
        bench(bencher, &counting(), shape(records, records.div_ceil(10)));
    }

    /// Each record from the stream of another table, as only events made by hand have them: a record costs the same in any number.
    #[divan::bench(args = COUNTS)]
    fn a_table_each(bencher: Bencher<'_, '_>, records: usize) {
        let body = String::from_utf8(payload(shape(records, 1))).expect("JSON is UTF-8");
        let (before, rest) = body.split_once(":table/").expect("the records name their stream");
        let tables = rest.split(":table/").enumerate().map(|(number, rest)| format!(":table/{number}-{rest}"));
        let body = tables.fold(before.to_owned(), |body, table| body + &table).into_bytes();
        let (processor, runtime) = (counting(), tokio::runtime::Builder::new_current_thread().enable_time().build());
        let runtime = runtime.expect("a runtime");
        bencher.counter(ItemsCount::new(records)).bench_local(|| runtime.block_on(process(&processor, &body)));
    }

    #[divan::bench(args = COUNTS)]
    fn whole_batch(bencher: Bencher<'_, '_>, records: usize) {
        let handler = |_: Record| async { Ok(()) };
        let processor = StreamProcessor::builder().on_record(handler).lanes(Lanes::WholeBatch).build();
        bench(bencher, &processor.expect("a processor"), shape(records, records));
    }
}

/// A queue that takes everything at once.
struct Taking;

impl DeadLetterQueue for Taking {
    async fn send(&self, letters: &[DeadLetter]) -> Vec<Result<(), DeadLetterError>> {
        letters.iter().map(|_| Ok(())).collect()
    }
}

/// One record in this many does not decode, and becomes a dead letter.
#[divan::bench(args = [0, 100, 1])]
fn dead_letters(bencher: Bencher<'_, '_>, broken_every: usize) {
    let processor = processor(|builder| builder.dead_letter_queue(Taking));
    bench(bencher, &processor, Shape { broken_every, ..Shape::of(1_000) });
}

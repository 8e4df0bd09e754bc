//! Allocations per record, and how much memory is held at the peak, beside the payload that came.
//!
//! `cargo bench -p lambda-streams-benches --bench allocations`

use lambda_streams::Deadline;
use lambda_streams_benches::{Item, Shape, by_hand, counting, payload, processor, through_runtime};

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

/// Half of the largest payload that Lambda delivers, and close to it.
const COUNTS: [usize; 3] = [100, 1_000, 3_700];

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    for count in COUNTS {
        let body = payload(Shape::of(count));
        println!("\n{count} records, {} bytes: allocations a record, peak as a multiple of the payload", body.len());
        let images = images(&body);
        let (typed, raw) = (processor(|builder| builder), counting());
        let from_bytes = |body: &[u8], processor: &_| runtime.block_on(ours(processor, body.to_vec()));
        row("by hand, in lambda_runtime", &body, count, || drop(runtime.block_on(by_hand(&body))));
        row("ours, the tower service", &body, count, || drop(runtime.block_on(through_runtime(&typed, &body))));
        let (all, _) = row("ours, from the bytes", &body, count, || from_bytes(&body, &typed));
        let (items, _) = row("of that, the decoded items", &body, count, || decode(&images, count));
        row("ours, the record as it is", &body, count, || from_bytes(&body, &raw));
        println!("  beyond the items and a future for each handler: {:.2} a record", all - items - 1.0);
    }
}

async fn ours(processor: &lambda_streams::StreamProcessor, body: Vec<u8>) {
    let report = processor.process_payload(body, Deadline::none()).await.expect("a stream event");
    assert!(report.response().expect("the batch is answered").checkpoint().is_none());
}

/// Both images of the first record.
fn images(body: &[u8]) -> [String; 2] {
    let event: serde_json::Value = serde_json::from_slice(body).expect("JSON");
    ["OldImage", "NewImage"].map(|image| event["Records"][0]["dynamodb"][image].to_string())
}

/// Decodes both images of one record as often as there are records, and nothing else.
fn decode(images: &[String; 2], count: usize) {
    for _ in 0..count {
        for image in images {
            std::hint::black_box(lambda_streams::from_image::<Item>(image).expect("an item"));
        }
    }
}

fn row(name: &str, body: &[u8], count: usize, run: impl Fn()) -> (f64, f64) {
    let profiler = dhat::Profiler::builder().testing().build();
    let before = dhat::HeapStats::get();
    run();
    let after = dhat::HeapStats::get();
    drop(profiler);
    let allocations = (after.total_blocks - before.total_blocks) as f64 / count as f64;
    let peak = (after.max_bytes - before.curr_bytes) as f64 / body.len() as f64;
    println!("  {name:34} {allocations:>8.2}  {peak:>6.2} ×");
    (allocations, peak)
}

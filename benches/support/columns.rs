//! What the tables compare, each from the payload's bytes to the answer.

use lambda_streams::{Deadline, Remove, StreamProcessor};
use tokio::runtime::Runtime;

use crate::{Item, Shape, by_hand, by_hand_untracked, counting, payload, processor, through_runtime};

type Run<'a> = Box<dyn Fn(Vec<u8>) + 'a>;

/// One way to process an event: its name, the payload, and the run, which takes the payload's bytes as its own, as the
/// runtime gives them.
pub struct Column<'a> {
    pub name: &'static str,
    pub body: &'a [u8],
    pub run: Run<'a>,
}

/// The events and processors that the columns borrow.
pub struct Stage {
    runtime: Runtime,
    pub records: usize,
    pub body: Vec<u8>,
    keys_only: Vec<u8>,
    typed: StreamProcessor,
    raw: StreamProcessor,
    skipping: StreamProcessor,
}

impl Stage {
    pub fn new(records: usize) -> Self {
        // The memory of a round is kept for the next one, as `lambda_streams::run` has it for invocations.
        drop(std::hint::black_box(Vec::<u8>::with_capacity(31 * 1024 * 1024)));
        let skipping = StreamProcessor::builder().on_remove(|_: Remove<Item>| async { Ok(()) }).build();
        Self {
            runtime: tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime"),
            records,
            body: payload(Shape::of(records)),
            keys_only: payload(Shape { images: false, ..Shape::of(records) }),
            typed: processor(|builder| builder),
            raw: counting(),
            skipping: skipping.expect("a processor"),
        }
    }

    pub fn columns(&self) -> Vec<Column<'_>> {
        let Self { runtime, body, keys_only, typed, raw, skipping, .. } = self;
        let column = |name, body, run| Column { name, body, run };
        let hand: Run<'_> = Box::new(|body| drop(runtime.block_on(by_hand(&body))));
        let untracked: Run<'_> = Box::new(|body| drop(runtime.block_on(by_hand_untracked(&body))));
        let service: Run<'_> = Box::new(|body| drop(runtime.block_on(through_runtime(typed, &body))));
        let ours = |processor| -> Run<'_> { Box::new(move |body| runtime.block_on(from_bytes(processor, body))) };
        vec![
            column("by hand, in lambda_runtime", body, hand),
            column("by hand, without path tracking", body, untracked),
            column("ours, the tower service", body, service),
            column("ours, from the bytes", body, ours(typed)),
            column("ours, images checked only", body, ours(raw)),
            column("ours, no handler for the kind", body, ours(skipping)),
            column("ours, keys only, empty handler", keys_only, ours(raw)),
            column("ours, keys only, no handler", keys_only, ours(skipping)),
        ]
    }
}

async fn from_bytes(processor: &StreamProcessor, body: Vec<u8>) {
    let report = processor.process_payload(body, Deadline::none()).await.expect("a stream event");
    assert!(report.response().expect("the batch is answered").checkpoint().is_none());
}

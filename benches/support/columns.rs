//! What the tables compare, each from the payload's bytes to the answer.

use lambda_streams::{Deadline, Remove, StreamEvent, StreamProcessor};
use tokio::runtime::Runtime;

use crate::{Item, Shape, by_hand, by_hand_untracked, counting, payload, processor, through_runtime};

/// One way to process an event: its name, and the run.
pub type Column<'a> = (&'static str, Box<dyn Fn() + 'a>);

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
        vec![
            ("by hand, in lambda_runtime", Box::new(|| drop(runtime.block_on(by_hand(body))))),
            ("by hand, without path tracking", Box::new(|| drop(runtime.block_on(by_hand_untracked(body))))),
            ("ours, the tower service", Box::new(|| drop(runtime.block_on(through_runtime(typed, body))))),
            ("ours, from the bytes", Box::new(|| runtime.block_on(from_bytes(typed, body)))),
            ("ours, images checked only", Box::new(|| runtime.block_on(from_bytes(raw, body)))),
            ("ours, no handler for the kind", Box::new(|| runtime.block_on(from_bytes(skipping, body)))),
            ("ours, keys only, empty handler", Box::new(|| runtime.block_on(from_bytes(raw, keys_only)))),
            ("ours, keys only, no handler", Box::new(|| runtime.block_on(from_bytes(skipping, keys_only)))),
        ]
    }
}

async fn from_bytes(processor: &StreamProcessor, body: &[u8]) {
    let event = StreamEvent::from_slice(body).expect("a stream event");
    let report = processor.process(event, Deadline::none()).await;
    assert!(report.response().expect("the batch is answered").checkpoint().is_none());
}

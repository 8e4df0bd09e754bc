//! The ways to process an event that the benches compare, each from the payload's bytes to the answer.

use lambda_streams::{Deadline, Remove, StreamProcessor};
use tokio::runtime::Runtime;

use crate::{
    Item, Shape, by_attribute, by_hand, by_hand_untracked, by_key, counting, counting_bulks, payload, processor,
    through_runtime,
};

/// One way to process an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Column {
    ByHand,
    ByHandUntracked,
    TowerService,
    FromBytes,
    EntitiesByKey,
    EntitiesByAttribute,
    ImagesChecked,
    NoHandler,
    KeysOnly,
    KeysOnlyBulks,
    KeysOnlyNoHandler,
}

impl Column {
    pub const ALL: [Self; 11] = [
        Self::ByHand,
        Self::ByHandUntracked,
        Self::TowerService,
        Self::FromBytes,
        Self::EntitiesByKey,
        Self::EntitiesByAttribute,
        Self::ImagesChecked,
        Self::NoHandler,
        Self::KeysOnly,
        Self::KeysOnlyBulks,
        Self::KeysOnlyNoHandler,
    ];

    /// What the program `columns` and `instructions.txt` call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::ByHand => "by hand, in lambda_runtime",
            Self::ByHandUntracked => "by hand, without path tracking",
            Self::TowerService => "ours, the tower service",
            Self::FromBytes => "ours, from the bytes",
            Self::EntitiesByKey => "ours, the third entity by key",
            Self::EntitiesByAttribute => "ours, the third entity by attribute",
            Self::ImagesChecked => "ours, images checked only",
            Self::NoHandler => "ours, no handler for the kind",
            Self::KeysOnly => "ours, keys only, empty handler",
            Self::KeysOnlyBulks => "ours, keys only, empty bulk handler",
            Self::KeysOnlyNoHandler => "ours, keys only, no handler",
        }
    }

    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|column| column.name() == name)
    }

    /// Whether its records have images, as those of the tables do.
    fn has_images(self) -> bool {
        !matches!(self, Self::KeysOnly | Self::KeysOnlyBulks | Self::KeysOnlyNoHandler)
    }
}

/// The events and processors that the columns share.
pub struct Stage {
    runtime: Runtime,
    with_images: Vec<u8>,
    keys_only: Vec<u8>,
    typed: StreamProcessor,
    by_key: StreamProcessor,
    by_attribute: StreamProcessor,
    raw: StreamProcessor,
    bulks: StreamProcessor,
    skipping: StreamProcessor,
}

impl Stage {
    pub fn new(records: usize) -> Self {
        // The memory of a round is kept for the next one, as `lambda_streams::run` has it for invocations.
        drop(std::hint::black_box(Vec::<u8>::with_capacity(31 * 1024 * 1024)));
        let skipping = StreamProcessor::builder().on_remove(|_: Remove<Item>| async { Ok(()) }).build();
        Self {
            runtime: tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime"),
            with_images: payload(Shape::of(records)),
            keys_only: payload(Shape { images: false, ..Shape::of(records) }),
            typed: processor(|builder| builder),
            by_key: by_key(),
            by_attribute: by_attribute(),
            raw: counting(),
            bulks: counting_bulks(),
            skipping: skipping.expect("a processor"),
        }
    }

    /// The payload that a column processes.
    pub fn body(&self, column: Column) -> &[u8] {
        if column.has_images() { &self.with_images } else { &self.keys_only }
    }

    /// Processes a payload, which the column takes as its own, as the runtime gives it.
    pub fn run(&self, column: Column, body: Vec<u8>) {
        match column {
            Column::ByHand => drop(self.runtime.block_on(by_hand(body))),
            Column::ByHandUntracked => drop(self.runtime.block_on(by_hand_untracked(body))),
            Column::TowerService => drop(self.runtime.block_on(through_runtime(&self.typed, body))),
            Column::FromBytes => self.process(&self.typed, body),
            Column::EntitiesByKey => self.process(&self.by_key, body),
            Column::EntitiesByAttribute => self.process(&self.by_attribute, body),
            Column::ImagesChecked | Column::KeysOnly => self.process(&self.raw, body),
            Column::KeysOnlyBulks => self.process(&self.bulks, body),
            Column::NoHandler | Column::KeysOnlyNoHandler => self.process(&self.skipping, body),
        }
    }

    fn process(&self, processor: &StreamProcessor, body: Vec<u8>) {
        let report = self.runtime.block_on(processor.process_payload(body, Deadline::none()));
        let answer = report.expect("a stream event").response().expect("the batch is answered");
        assert!(answer.checkpoint().is_none());
    }
}

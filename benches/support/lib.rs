//! What the benches have in common: events, the item, the same function twice, and the table of `cargo bench`.

mod arguments;
mod by_hand;
mod columns;
mod events;
mod layout;
mod numbers;
mod ours;
mod sinks;
mod table;

pub use arguments::{Command, HELP, Statistic, WrongArgument};
pub use by_hand::{Answer, by_hand, by_hand_untracked, handler};
pub use columns::{Column, Stage};
pub use events::{Shape, payload};
pub use ours::{Item, by_attribute, by_key, counting, counting_bulks, processor, through_runtime};
pub use sinks::SinkTimes;
pub use table::{Batch, Measured, SHOWN, introduction, render, render_sinks};

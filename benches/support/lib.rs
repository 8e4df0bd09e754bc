//! What the benches have in common: events, the item, and the same function twice.

mod by_hand;
mod columns;
mod events;
mod ours;

pub use by_hand::{Answer, by_hand, by_hand_untracked, handler};
pub use columns::{Column, Stage};
pub use events::{Shape, payload};
pub use ours::{Item, counting, processor, through_runtime};

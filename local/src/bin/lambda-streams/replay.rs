//! `replay`
mod range;
mod stretch;

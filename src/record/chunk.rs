//! Records of one payload that were read together, and that share its text.

use std::sync::Arc;

use super::Header;

/// Consecutive records of a payload: the whole payload's text, and the header of each record.
pub(crate) struct Chunk {
    pub(crate) text: Arc<String>,
    pub(crate) headers: Vec<Header>,
}

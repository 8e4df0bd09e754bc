//! Records of one payload that were read together.

use std::sync::Arc;

use super::Envelope;

/// Records that stand behind one another in a payload: the payload's text, and their envelopes.
pub(crate) struct Stretch {
    pub(crate) text: Arc<String>,
    pub(crate) envelopes: Vec<Envelope>,
}

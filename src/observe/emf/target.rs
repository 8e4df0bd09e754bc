//! What every document of a flush shares: the namespace, and the dimensions and properties of all metrics.

use std::collections::BTreeSet;

/// The longest name of a metric or dimension, in characters.
pub(super) const MAX_NAME: usize = 255;
const MAX_DIMENSION_VALUE: usize = 1_024;

/// Where the metrics go in CloudWatch, and the dimensions and properties of all of them.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) namespace: String,
    pub(super) dimensions: Vec<(String, String)>,
    pub(super) properties: Vec<(String, String)>,
    /// Labels that are properties, not dimensions.
    pub(super) property_labels: BTreeSet<String>,
}

impl Target {
    pub(super) fn is_dimension(&self, label: &str) -> bool {
        !self.property_labels.contains(label)
    }
}

/// Whether CloudWatch accepts this dimension.
pub(super) fn is_dimension(name: &str, value: &str) -> bool {
    let is_text = |text: &str, limit| {
        text.len() <= limit && text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) && !text.trim().is_empty()
    };
    is_text(name, MAX_NAME) && !name.starts_with(':') && is_text(value, MAX_DIMENSION_VALUE)
}

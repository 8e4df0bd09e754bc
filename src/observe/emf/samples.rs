//! The numbers of one metric since the last flush, on their way from the registry into documents.

/// The numbers of a metric, of whichever type.
pub(super) enum Samples {
    /// The increase of a counter.
    Count(u64),
    /// The value of a gauge.
    Level(f64),
    /// The observations of a histogram.
    Values(Vec<f64>),
}

impl Samples {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Count(_) | Self::Level(_) => 1,
            Self::Values(values) => values.len(),
        }
    }
}

//! The numbers of one metric since the last flush.

/// A metric's numbers, taken out of the registry.
pub(super) enum Samples {
    Count(u64),
    Level(f64),
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

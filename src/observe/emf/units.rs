//! The units that metrics were described with, as CloudWatch's units.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{PoisonError, RwLock};

use metrics::{KeyName, Unit};

/// A CloudWatch unit, and the factor that converts a number to it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct CloudWatchUnit {
    pub(super) name: &'static str,
    pub(super) factor: f64,
}

/// The units that metrics were described with, by the metrics' names.
#[derive(Debug, Default)]
pub(super) struct Units {
    by_name: RwLock<HashMap<KeyName, CloudWatchUnit>>,
    version: AtomicUsize,
}

impl Units {
    pub(super) fn note(&self, name: KeyName, unit: Option<Unit>) {
        if let Some(unit) = unit {
            let mut units = self.by_name.write().unwrap_or_else(PoisonError::into_inner);
            units.insert(name.to_retained(), CloudWatchUnit::of(unit));
            self.version.fetch_add(1, Ordering::Release);
        }
    }

    /// Differs after each change: a metric may be described after it was recorded.
    pub(super) fn version(&self) -> usize {
        self.version.load(Ordering::Acquire)
    }

    pub(super) fn of(&self, name: &str) -> Option<CloudWatchUnit> {
        self.by_name.read().unwrap_or_else(PoisonError::into_inner).get(name).copied()
    }
}

impl CloudWatchUnit {
    fn of(unit: Unit) -> Self {
        let (name, factor) = match unit {
            Unit::Count => ("Count", 1.0),
            Unit::Percent => ("Percent", 1.0),
            Unit::Seconds => ("Seconds", 1.0),
            Unit::Milliseconds => ("Milliseconds", 1.0),
            Unit::Microseconds => ("Microseconds", 1.0),
            Unit::Nanoseconds => ("Microseconds", 1e-3),
            // CloudWatch's larger units are powers of 1,000.
            Unit::Tebibytes => ("Bytes", 1024_f64.powi(4)),
            Unit::Gibibytes => ("Bytes", 1024_f64.powi(3)),
            Unit::Mebibytes => ("Bytes", 1024_f64.powi(2)),
            Unit::Kibibytes => ("Bytes", 1024.0),
            Unit::Bytes => ("Bytes", 1.0),
            Unit::TerabitsPerSecond => ("Terabits/Second", 1.0),
            Unit::GigabitsPerSecond => ("Gigabits/Second", 1.0),
            Unit::MegabitsPerSecond => ("Megabits/Second", 1.0),
            Unit::KilobitsPerSecond => ("Kilobits/Second", 1.0),
            Unit::BitsPerSecond => ("Bits/Second", 1.0),
            Unit::CountPerSecond => ("Count/Second", 1.0),
        };
        Self { name, factor }
    }
}

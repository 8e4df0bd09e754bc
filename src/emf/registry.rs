use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use metrics::{
    Counter, CounterFn, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit,
};

use super::lock;
use super::units::{CloudWatchUnit, Units};

/// The numbers since the last flush. Whoever holds a handle adds to it without a look-up.
#[derive(Default)]
pub(super) struct Registry {
    counters: Mutex<HashMap<Key, Entry<Count>>>,
    gauges: Mutex<HashMap<Key, Arc<AtomicU64>>>,
    histograms: Mutex<HashMap<Key, Arc<Observations>>>,
}

struct Entry<T> {
    value: Arc<T>,
    /// Whether it was asked for since the last flush, so that also a zero is told.
    fresh: bool,
}

#[derive(Default)]
struct Count {
    pending: AtomicU64,
    /// The highest absolute value that was set.
    absolute: AtomicU64,
}

impl CounterFn for Count {
    fn increment(&self, value: u64) {
        self.pending.fetch_add(value, Ordering::AcqRel);
    }

    fn absolute(&self, value: u64) {
        let before = self.absolute.fetch_max(value, Ordering::AcqRel);
        self.pending.fetch_add(value.saturating_sub(before), Ordering::AcqRel);
    }
}

#[derive(Default)]
struct Observations(Mutex<Vec<f64>>);

impl HistogramFn for Observations {
    fn record(&self, value: f64) {
        lock(&self.0).push(value);
    }

    fn record_many(&self, value: f64, count: usize) {
        lock(&self.0).extend(std::iter::repeat_n(value, count));
    }
}

/// A metric's numbers, taken out of the registry.
#[derive(Debug)]
pub(super) struct Sample {
    pub(super) key: Key,
    pub(super) unit: Option<CloudWatchUnit>,
    pub(super) numbers: Numbers,
}

#[derive(Debug)]
pub(super) enum Numbers {
    Count(u64),
    Values(Vec<f64>),
}

impl Numbers {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Count(_) => 1,
            Self::Values(values) => values.len(),
        }
    }
}

impl Registry {
    /// Takes each number once. A metric that nobody holds a handle of is forgotten, so that labels of many values do not
    /// grow the registry; but a gauge, whose next increment needs its value.
    pub(super) fn drain(&self, units: &Units) -> Vec<Sample> {
        let mut samples = Vec::new();
        let mut take = |key: Key, numbers| {
            samples.push(Sample { unit: units.of(key.name()), key, numbers });
        };
        let mut counters = lock(&self.counters);
        for (key, mut entry) in std::mem::take(&mut *counters) {
            let held = is_held(&mut entry.value);
            let count = entry.value.pending.swap(0, Ordering::AcqRel);
            let told = std::mem::take(&mut entry.fresh) || count > 0;
            if held || entry.value.absolute.load(Ordering::Acquire) > 0 {
                counters.insert(key.clone(), entry);
            }
            if told {
                take(key, Numbers::Count(count));
            }
        }
        drop(counters);
        for (key, gauge) in lock(&self.gauges).iter() {
            take(key.clone(), Numbers::Values(vec![f64::from_bits(gauge.load(Ordering::Acquire))]));
        }
        let mut histograms = lock(&self.histograms);
        for (key, mut observations) in std::mem::take(&mut *histograms) {
            let held = is_held(&mut observations);
            let values = std::mem::take(&mut *lock(&observations.0));
            if held {
                histograms.insert(key.clone(), observations);
            }
            if !values.is_empty() {
                take(key, Numbers::Values(values));
            }
        }
        drop(histograms);
        samples
    }
}

/// Whether a handle is out. To be asked before the value is taken: a handle that adds to it and is dropped after that must
/// find the metric still there.
fn is_held<T>(value: &mut Arc<T>) -> bool {
    Arc::get_mut(value).is_none()
}

impl Recorder for Registry {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        let mut counters = lock(&self.counters);
        let entry = match counters.get_mut(key) {
            Some(entry) => entry,
            None => counters.entry(key.to_retained()).or_insert(Entry { value: Arc::default(), fresh: true }),
        };
        entry.fresh = true;
        Counter::from_arc(Arc::clone(&entry.value))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        let mut gauges = lock(&self.gauges);
        if let Some(gauge) = gauges.get(key) {
            return Gauge::from_arc(Arc::clone(gauge));
        }
        Gauge::from_arc(Arc::clone(gauges.entry(key.to_retained()).or_default()))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        let mut histograms = lock(&self.histograms);
        if let Some(observations) = histograms.get(key) {
            return Histogram::from_arc(Arc::clone(observations));
        }
        Histogram::from_arc(Arc::clone(histograms.entry(key.to_retained()).or_default()))
    }
}

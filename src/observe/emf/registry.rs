//! The metrics of a process: their numbers since the last flush, grouped by labels as documents are.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit,
};

use super::document::{Desk, Head, Moment, Text};
use super::lock;
use super::samples::Samples;
use super::target::Target;
use super::units::Units;

/// The numbers since the last flush. Whoever holds a handle adds to it without a look-up.
#[derive(Default)]
pub(super) struct Registry {
    groups: Mutex<Groups>,
}

/// Metrics of the same labels stand together, as they do in documents.
#[derive(Default)]
struct Groups {
    list: Vec<Group>,
    /// Where the metrics of each type are.
    places: [Map<Place>; 3],
    /// The group of each set of labels, by a key without a name.
    by_labels: Map<usize>,
    /// How often the units had changed when the metrics' texts were made.
    units: usize,
    desk: Desk,
}

type Map<T> = HashMap<Key, T, BuildHasherDefault<OwnHash>>;

#[derive(Clone, Copy)]
struct Place {
    group: usize,
    metric: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Type {
    Counter,
    Gauge,
    Histogram,
}

struct Group {
    labels: Key,
    head: Option<Head>,
    metrics: Vec<Metric>,
    /// Those of the metrics, or empty if they have changed.
    texts: Vec<Text>,
}

struct Metric {
    of: Type,
    key: Key,
    value: Arc<Value>,
    /// Whether it was asked for since the last flush, so that also a zero is told.
    fresh: bool,
    /// Whether nobody asked for it, and nobody can add to it.
    forgotten: bool,
}

/// A metric's numbers, whatever its type.
#[derive(Default)]
struct Value {
    /// What a counter was increased by.
    count: AtomicU64,
    /// The highest absolute value that a counter was set to.
    absolute: AtomicU64,
    /// A gauge's bits.
    level: AtomicU64,
    observations: Mutex<Vec<f64>>,
}

impl CounterFn for Value {
    fn increment(&self, value: u64) {
        self.count.fetch_add(value, Ordering::AcqRel);
    }

    fn absolute(&self, value: u64) {
        let before = self.absolute.fetch_max(value, Ordering::AcqRel);
        self.count.fetch_add(value.saturating_sub(before), Ordering::AcqRel);
    }
}

impl GaugeFn for Value {
    fn increment(&self, value: f64) {
        GaugeFn::increment(&self.level, value);
    }

    fn decrement(&self, value: f64) {
        GaugeFn::decrement(&self.level, value);
    }

    fn set(&self, value: f64) {
        GaugeFn::set(&self.level, value);
    }
}

impl HistogramFn for Value {
    fn record(&self, value: f64) {
        lock(&self.observations).push(value);
    }

    fn record_many(&self, value: f64, count: usize) {
        lock(&self.observations).extend(std::iter::repeat_n(value, count));
    }
}

impl Metric {
    /// Takes each number once; `None` if there is nothing to tell.
    fn take(&mut self) -> Option<Samples> {
        // Before the numbers are taken: a handle that adds to them and is dropped after that must find the metric still there.
        self.forgotten = self.is_forgotten();
        let fresh = std::mem::take(&mut self.fresh);
        match self.of {
            Type::Counter => {
                let count = self.value.count.swap(0, Ordering::AcqRel);
                (fresh || count > 0).then_some(Samples::Count(count))
            }
            Type::Gauge => Some(Samples::Level(f64::from_bits(self.value.level.load(Ordering::Acquire)))),
            Type::Histogram => {
                let values = std::mem::take(&mut *lock(&self.value.observations));
                (!values.is_empty()).then_some(Samples::Values(values))
            }
        }
    }

    /// Gives the room of numbers that are written back, for the next ones.
    fn give_back(&self, numbers: Samples) {
        if let Samples::Values(mut values) = numbers {
            values.clear();
            let mut observations = lock(&self.value.observations);
            if observations.is_empty() {
                *observations = values;
            }
        }
    }

    /// A gauge's next increment needs its value, and a counter's next absolute value the last one.
    fn is_forgotten(&mut self) -> bool {
        !self.fresh
            && self.of != Type::Gauge
            && Arc::get_mut(&mut self.value).is_some_and(|value| *value.absolute.get_mut() == 0)
    }
}

impl Group {
    fn new(labels: Key) -> Self {
        Self { labels, head: None, metrics: Vec::new(), texts: Vec::new() }
    }

    /// Appends the documents of what there is to tell, and says whether a metric is to be forgotten.
    fn write(&mut self, units: &Units, target: &Target, moment: &Moment, desk: &mut Desk, lines: &mut Vec<u8>) -> bool {
        let head = self.head.get_or_insert_with(|| Head::new(target, &self.labels));
        if self.texts.is_empty() {
            self.texts = Text::all(self.metrics.iter().map(|metric| metric.key.name()), head, units);
        }
        let mut forgotten = false;
        for (index, metric) in self.metrics.iter_mut().enumerate() {
            desk.told.extend(metric.take().map(|numbers| (index, numbers)));
            forgotten |= metric.forgotten;
        }
        if !desk.told.is_empty() {
            desk.write(&self.texts, head, moment, lines);
        }
        for (index, numbers) in desk.told.drain(..) {
            self.metrics[index].give_back(numbers);
        }
        forgotten
    }
}

impl Groups {
    /// The metric of this key, which is made if there is none.
    fn metric(&mut self, of: Type, key: &Key) -> &Arc<Value> {
        let place = match self.places[of as usize].get(key) {
            Some(place) => *place,
            None => {
                self.insert(Metric { of, key: key.to_retained(), value: Arc::default(), fresh: true, forgotten: false })
            }
        };
        let metric = &mut self.list[place.group].metrics[place.metric];
        metric.fresh = true;
        &metric.value
    }

    fn insert(&mut self, metric: Metric) -> Place {
        let Self { list, places, by_labels, .. } = self;
        let labels = Key::from_parts("", metric.key.labels().cloned().collect::<Vec<_>>());
        let group = *by_labels.entry(labels).or_insert_with_key(|labels| {
            list.push(Group::new(labels.clone()));
            list.len() - 1
        });
        let Group { metrics, texts, .. } = &mut list[group];
        let place = Place { group, metric: metrics.len() };
        places[metric.of as usize].insert(metric.key.clone(), place);
        metrics.push(metric);
        texts.clear();
        place
    }

    /// Keeps these metrics alone, so that labels of many values do not grow the registry.
    fn keep(&mut self, metrics: Vec<Metric>) {
        self.places.iter_mut().for_each(Map::clear);
        self.by_labels.clear();
        for metric in metrics {
            self.insert(metric);
        }
    }
}

impl Registry {
    /// Appends what was recorded since the last time, in documents of a line each.
    pub(super) fn write(&self, units: &Units, target: &Target, moment: &Moment, lines: &mut Vec<u8>) {
        let mut groups = lock(&self.groups);
        let changes = units.changes();
        if groups.units != changes {
            groups.units = changes;
            groups.list.iter_mut().for_each(|group| group.texts.clear());
        }
        let mut forgotten = false;
        let Groups { list, desk, .. } = &mut *groups;
        for group in list {
            forgotten |= group.write(units, target, moment, desk, lines);
        }
        if forgotten {
            let metrics = std::mem::take(&mut groups.list).into_iter().flat_map(|group| group.metrics);
            let kept = metrics.filter(|metric| !metric.forgotten).collect();
            groups.keep(kept);
        }
    }

    fn value(&self, of: Type, key: &Key) -> Arc<Value> {
        Arc::clone(lock(&self.groups).metric(of, key))
    }
}

impl Recorder for Registry {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.value(Type::Counter, key))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.value(Type::Gauge, key))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(self.value(Type::Histogram, key))
    }
}

/// A key brings its hash along.
#[derive(Default)]
struct OwnHash(u64);

impl Hasher for OwnHash {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

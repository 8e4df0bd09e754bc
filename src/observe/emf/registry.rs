//! Holds the metrics of a process: their numbers since the last flush, grouped by labels as documents are.
//!
//! Invariant: a flush takes the numbers of counters and histograms out, so none is written twice and none that a handle has
//! added is lost. A gauge keeps its value.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use foldhash::fast::RandomState;
use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit,
};

use super::document::{DocumentWriter, FlushContext, MetricJson, Preamble};
use super::lock;
use super::samples::Samples;
use super::target::Target;
use super::units::Units;

/// The numbers since the last flush. A handle adds to its metric without a look-up and without the registry's lock.
#[derive(Default)]
pub(super) struct Registry {
    groups: Mutex<Groups>,
}

/// All metrics, in groups of the same labels, because these share documents.
#[derive(Default)]
struct Groups {
    list: Vec<Group>,
    counters: KeyMap<Place>,
    gauges: KeyMap<Place>,
    histograms: KeyMap<Place>,
    /// The group of each set of labels, by a key without a name.
    by_labels: KeyMap<usize>,
    /// The version of the units that the metrics' JSON was made with.
    units_version: usize,
    writer: DocumentWriter,
}

/// `foldhash`, because with std's hasher the cost of metrics in a batch of one record grows by a seventh (bench
/// `observability`).
type KeyMap<T> = HashMap<Key, T, RandomState>;

/// Where a metric is: its group, and its index in the group.
#[derive(Clone, Copy)]
struct Place {
    group: usize,
    metric: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum MetricType {
    Counter,
    Gauge,
    Histogram,
}

/// The metrics of one set of labels.
struct Group {
    labels: Key,
    preamble: Option<Preamble>,
    metrics: Vec<Metric>,
    /// The JSON of each of the metrics; empty if it has to be made again.
    json: Vec<MetricJson>,
}

struct Metric {
    kind: MetricType,
    key: Key,
    cell: Arc<MetricCell>,
    /// Whether a handle was requested since the last flush, so a zero is written too.
    requested: bool,
    /// Whether no handle was requested and none is left, so the metric can be removed.
    idle: bool,
}

/// The numbers of a metric, which its handles share; each type of metric uses its own fields.
#[derive(Default)]
struct MetricCell {
    /// The increase of a counter.
    count: AtomicU64,
    /// The highest absolute value that a counter was set to.
    absolute: AtomicU64,
    /// The bits of a gauge's value.
    level: AtomicU64,
    /// The observations of a histogram.
    observations: Mutex<Vec<f64>>,
}

impl CounterFn for MetricCell {
    fn increment(&self, value: u64) {
        self.count.fetch_add(value, Ordering::AcqRel);
    }

    fn absolute(&self, value: u64) {
        let before = self.absolute.fetch_max(value, Ordering::AcqRel);
        self.count.fetch_add(value.saturating_sub(before), Ordering::AcqRel);
    }
}

impl GaugeFn for MetricCell {
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

impl HistogramFn for MetricCell {
    fn record(&self, value: f64) {
        lock(&self.observations).push(value);
    }

    fn record_many(&self, value: f64, count: usize) {
        lock(&self.observations).extend(std::iter::repeat_n(value, count));
    }
}

impl Metric {
    /// Takes the numbers to be written, if there are any.
    fn take(&mut self) -> Option<Samples> {
        // First, so a handle which adds a number after this and is then dropped finds the metric still in the registry.
        self.mark_if_idle();
        let requested = std::mem::take(&mut self.requested);
        match self.kind {
            MetricType::Counter => {
                let count = self.cell.count.swap(0, Ordering::AcqRel);
                (requested || count > 0).then_some(Samples::Count(count))
            }
            MetricType::Gauge => Some(Samples::Level(f64::from_bits(self.cell.level.load(Ordering::Acquire)))),
            MetricType::Histogram => {
                let values = std::mem::take(&mut *lock(&self.cell.observations));
                (!values.is_empty()).then_some(Samples::Values(values))
            }
        }
    }

    /// Returns the memory of numbers that have been written, for the next ones.
    fn reuse(&self, numbers: Samples) {
        if let Samples::Values(mut values) = numbers {
            values.clear();
            let mut observations = lock(&self.cell.observations);
            if observations.is_empty() {
                *observations = values;
            }
        }
    }

    /// Never marks a gauge, whose next increment needs its value, nor a counter that was set to an absolute value, whose next
    /// one needs the last.
    fn mark_if_idle(&mut self) {
        self.idle = !self.requested
            && self.kind != MetricType::Gauge
            && Arc::get_mut(&mut self.cell).is_some_and(|cell| *cell.absolute.get_mut() == 0);
    }
}

impl Group {
    fn new(labels: Key) -> Self {
        Self { labels, preamble: None, metrics: Vec::new(), json: Vec::new() }
    }

    /// Appends the documents of the numbers since the last flush.
    fn write(
        &mut self,
        units: &Units,
        target: &Target,
        context: &FlushContext,
        writer: &mut DocumentWriter,
        lines: &mut Vec<u8>,
    ) {
        let preamble = self.preamble.get_or_insert_with(|| Preamble::new(target, &self.labels));
        if self.json.is_empty() {
            self.json = MetricJson::of_group(self.metrics.iter().map(|metric| metric.key.name()), preamble, units);
        }
        for (index, metric) in self.metrics.iter_mut().enumerate() {
            writer.pending.extend(metric.take().map(|numbers| (index, numbers)));
        }
        if !writer.pending.is_empty() {
            writer.write(&self.json, preamble, context, lines);
        }
        for (index, numbers) in writer.pending.drain(..) {
            self.metrics[index].reuse(numbers);
        }
    }

    fn has_idle(&self) -> bool {
        self.metrics.iter().any(|metric| metric.idle)
    }
}

impl Groups {
    /// The cell of a metric, which is made if there is none.
    fn request(&mut self, kind: MetricType, key: &Key) -> &Arc<MetricCell> {
        let place = match self.places(kind).get(key) {
            Some(place) => *place,
            None => {
                let (key, cell) = (key.to_retained(), Arc::default());
                self.insert(Metric { kind, key, cell, requested: true, idle: false })
            }
        };
        let metric = &mut self.list[place.group].metrics[place.metric];
        metric.requested = true;
        &metric.cell
    }

    fn places(&mut self, kind: MetricType) -> &mut KeyMap<Place> {
        match kind {
            MetricType::Counter => &mut self.counters,
            MetricType::Gauge => &mut self.gauges,
            MetricType::Histogram => &mut self.histograms,
        }
    }

    fn insert(&mut self, metric: Metric) -> Place {
        let Self { list, by_labels, .. } = self;
        let labels = Key::from_parts("", metric.key.labels().cloned().collect::<Vec<_>>());
        let group = *by_labels.entry(labels).or_insert_with_key(|labels| {
            list.push(Group::new(labels.clone()));
            list.len() - 1
        });
        let place = Place { group, metric: list[group].metrics.len() };
        self.places(metric.kind).insert(metric.key.clone(), place);
        let Group { metrics, json, .. } = &mut self.list[group];
        metrics.push(metric);
        json.clear();
        place
    }

    /// Removes idle metrics, so labels with ever new values do not grow the registry.
    fn remove_idle(&mut self) {
        let groups = std::mem::take(&mut self.list);
        for map in [&mut self.counters, &mut self.gauges, &mut self.histograms] {
            map.clear();
        }
        self.by_labels.clear();
        for metric in groups.into_iter().flat_map(|group| group.metrics).filter(|metric| !metric.idle) {
            self.insert(metric);
        }
    }
}

impl Registry {
    /// Appends what was recorded since the last flush, as documents of one line each.
    pub(super) fn write(&self, units: &Units, target: &Target, context: &FlushContext, lines: &mut Vec<u8>) {
        let mut groups = lock(&self.groups);
        let Groups { list, units_version, writer, .. } = &mut *groups;
        let version = units.version();
        if std::mem::replace(units_version, version) != version {
            list.iter_mut().for_each(|group| group.json.clear());
        }
        for group in &mut *list {
            group.write(units, target, context, writer, lines);
        }
        if list.iter().any(Group::has_idle) {
            groups.remove_idle();
        }
    }

    fn cell(&self, kind: MetricType, key: &Key) -> Arc<MetricCell> {
        Arc::clone(lock(&self.groups).request(kind, key))
    }
}

impl Recorder for Registry {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.cell(MetricType::Counter, key))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.cell(MetricType::Gauge, key))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(self.cell(MetricType::Histogram, key))
    }
}

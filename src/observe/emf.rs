//! CloudWatch's embedded metric format: a recorder of the [`metrics`] facade that writes its metrics as log lines.
//!
//! A flush writes the lines here (`Emf::write`), at the end of each invocation.
//!
//! Invariant: each number is written exactly once, with the id of the invocation that it belongs to or with none.

mod builder;
mod document;
mod registry;
mod samples;
mod target;
mod units;

use std::fmt;
use std::io::Write;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};

pub use self::builder::EmfBuilder;

use self::document::FlushContext;
use self::registry::Registry;
use self::target::Target;
use self::units::Units;
use crate::clock::time_of_day;
use crate::guard::guard;

/// How much memory for lines is kept from one flush to the next.
const MAX_KEPT_BYTES: usize = 64 * 1_024;

static INSTALLED: OnceLock<Emf> = OnceLock::new();

/// Writes metrics as log lines in CloudWatch's [embedded metric format][spec], from which CloudWatch makes metrics without
/// a call of its API.
///
/// Available with the feature `emf`, which is enabled by default.
///
/// ```no_run
/// use lambda_streams::Emf;
///
/// # fn main() -> Result<(), lambda_streams::Error> {
/// Emf::builder().namespace("Orders").service("order-stream").install()?;
/// # Ok(())
/// # }
/// ```
///
/// After that it writes every metric that goes through the [`metrics`] facade: the processor's own and those of your
/// handlers, such as `metrics::counter!("orders_shipped").increment(1)`. The processor flushes at the end of each batch,
/// whatever its outcome. Metrics that are recorded elsewhere are written with the next batch, or by
/// [`flush`](Self::flush).
///
/// # Documents
/// - Every metric is written with the dimension `service`. A metric with labels is written once more with `service` and its labels, so an
///   alarm can watch it with and without them. The processor's label `table` is a property, not a dimension, unless
///   [`label_as_dimension`](EmfBuilder::label_as_dimension) makes it one.
/// - A counter is written as the increase since the last flush, a gauge as its current value, a histogram as all its
///   observations.
/// - The unit is the one that the metric was described with. Units that CloudWatch does not have are converted: nanoseconds to
///   microseconds, kibibytes and larger to bytes.
/// - The limits of the format (100 metrics, 100 observations of each, 30 dimensions in a set, 256 KB) are kept by writing
///   further documents. Nothing is dropped except what JSON has no number for (NaN, infinity).
/// - A label that CloudWatch does not accept as a dimension becomes a property: one that is empty, longer than 1,024 characters or not
///   ASCII.
/// - Each document is one line. The documents of a flush are written in one call.
///
/// # Log level
/// With the JSON log format, Lambda drops lines below the function's application log level, and treats a metrics document as `INFO`. So
/// with `WARN`, `ERROR` or `FATAL` no metric arrives. [`install`](EmfBuilder::install) then logs a warning, if a log is already installed.
/// To have fewer log lines and all metrics, leave the application log level at `INFO` and set
/// [`Logs::level`](crate::Logs::level), or use the text format.
///
/// # Concurrent invocations
/// Each number is written once. The processor's own metrics always carry their `requestId`. Those of handlers carry it while
/// one invocation runs at a time. While invocations overlap, handlers' metrics cannot be attributed to one of them, and are
/// written without a `requestId`.
///
/// [spec]: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
#[derive(Clone)]
pub struct Emf {
    inner: Arc<Inner>,
}

struct Inner {
    target: Target,
    registry: Registry,
    /// The processor's own metrics of an invocation that overlaps others, during its flush.
    own: Registry,
    units: Units,
    output: Mutex<Output>,
    invocations: Mutex<Invocations>,
}

struct Output {
    writer: Box<dyn Write + Send>,
    /// A buffer that is reused by each flush.
    lines: Vec<u8>,
}

/// The invocations that may have recorded the numbers since the last flush.
#[derive(Default)]
struct Invocations {
    running: usize,
    /// Whether more than one of them ran at a time.
    overlapped: bool,
}

impl Emf {
    /// Starts with the settings of the environment: the namespace is `POWERTOOLS_METRICS_NAMESPACE` or `LambdaStreams`, and the service is
    /// `POWERTOOLS_SERVICE_NAME` or the function's name.
    pub fn builder() -> EmfBuilder {
        EmfBuilder::new()
    }

    fn new(target: Target, writer: Box<dyn Write + Send>) -> Self {
        let inner = Inner {
            target,
            registry: Registry::default(),
            own: Registry::default(),
            units: Units::default(),
            output: Mutex::new(Output { writer, lines: Vec::new() }),
            invocations: Mutex::default(),
        };
        let emf = Self { inner: Arc::new(inner) };
        metrics::with_local_recorder(&emf, super::metrics::describe);
        emf
    }

    /// Writes what was recorded since the last flush, without a request id.
    ///
    /// The processor flushes after each batch. Call this for metrics that are recorded outside of a batch.
    ///
    /// ```
    /// use lambda_streams::Emf;
    ///
    /// let emf = Emf::builder().namespace("Orders").service("order-stream").build()?;
    /// emf.flush(); // Nothing was recorded, so nothing is written.
    /// # Ok::<(), lambda_streams::Error>(())
    /// ```
    pub fn flush(&self) {
        let _invocations = lock(&self.inner.invocations);
        self.write(&self.inner.registry, None);
    }

    /// The one that is installed in this process.
    pub(super) fn installed() -> Option<&'static Self> {
        INSTALLED.get()
    }

    pub(super) fn begin_invocation(&self) {
        let mut invocations = lock(&self.inner.invocations);
        invocations.overlapped |= invocations.running > 0;
        invocations.running += 1;
    }

    /// Has the invocation's own metrics recorded, and writes them with all that was recorded since the last flush.
    pub(super) fn end_invocation(&self, request_id: &str, record: impl FnOnce()) {
        let request_id = Some(request_id).filter(|id| !id.is_empty());
        // Held until everything is written: an invocation that began in between would have its metrics taken for this one's.
        let mut invocations = lock(&self.inner.invocations);
        if invocations.overlapped {
            metrics::with_local_recorder(&self.inner.own, record);
            self.write(&self.inner.own, request_id);
            self.write(&self.inner.registry, None);
        } else {
            metrics::with_local_recorder(&self.inner.registry, record);
            self.write(&self.inner.registry, request_id);
        }
        invocations.end_one();
    }

    /// Writes what the handlers of a cancelled invocation recorded.
    pub(super) fn cancel_invocation(&self) {
        let mut invocations = lock(&self.inner.invocations);
        self.write(&self.inner.registry, None);
        invocations.end_one();
    }

    /// Writes what a registry holds. A line that cannot be written is lost: an invocation must not fail for its metrics.
    fn write(&self, registry: &Registry, request_id: Option<&str>) {
        let Inner { target, units, output, .. } = &*self.inner;
        let Output { writer, lines } = &mut *lock(output);
        // A writer that panicked has left its lines here.
        lines.clear();
        registry.write(units, target, &FlushContext::new(time_of_day(), request_id), lines);
        if !lines.is_empty() {
            // The writer may be the user's own.
            let _ = guard("writer of the metrics", || writer.write_all(lines).and_then(|()| writer.flush()));
            lines.clear();
            lines.shrink_to(MAX_KEPT_BYTES);
        }
    }
}

impl Invocations {
    /// Notes that one has ended and all numbers are written: what is recorded next is from those that still run.
    fn end_one(&mut self) {
        self.running -= 1;
        self.overlapped = self.running > 1;
    }
}

impl Recorder for Emf {
    fn describe_counter(&self, key: KeyName, unit: Option<Unit>, _: SharedString) {
        self.inner.units.note(key, unit);
    }

    fn describe_gauge(&self, key: KeyName, unit: Option<Unit>, _: SharedString) {
        self.inner.units.note(key, unit);
    }

    fn describe_histogram(&self, key: KeyName, unit: Option<Unit>, _: SharedString) {
        self.inner.units.note(key, unit);
    }

    fn register_counter(&self, key: &Key, metadata: &Metadata<'_>) -> Counter {
        self.inner.registry.register_counter(key, metadata)
    }

    fn register_gauge(&self, key: &Key, metadata: &Metadata<'_>) -> Gauge {
        self.inner.registry.register_gauge(key, metadata)
    }

    fn register_histogram(&self, key: &Key, metadata: &Metadata<'_>) -> Histogram {
        self.inner.registry.register_histogram(key, metadata)
    }
}

impl fmt::Debug for Emf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Emf").field("target", &self.inner.target).finish_non_exhaustive()
    }
}

fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A writer that panics may leave half a line, but the metrics are consistent.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            lock(&self.0).write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl Written {
        /// The request id of each document, and how often the handlers shipped an order.
        fn take(&self) -> Vec<(Option<String>, Option<f64>)> {
            let lines = String::from_utf8(std::mem::take(&mut *lock(&self.0))).expect("text");
            let documents = lines.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
            documents
                .map(|document| (document["requestId"].as_str().map(str::to_owned), document["shipped"].as_f64()))
                .collect()
        }
    }

    #[test]
    fn overlapping_invocations_share_what_handlers_record() {
        let written = Written::default();
        let emf = Emf::builder().namespace("Orders").service("stream").writer(written.clone()).build().expect("valid");
        let handlers_record = || metrics::with_local_recorder(&emf, || metrics::counter!("shipped").increment(1));
        let end = |id| emf.end_invocation(id, || metrics::counter!("received").increment(1));
        let of = |id: &str| (Some(id.to_owned()), None);
        (0..3).for_each(|_| emf.begin_invocation());
        for id in ["a", "b", "c"] {
            handlers_record();
            end(id);
        }
        // After two of three have ended, the last one records alone.
        let expected = [of("a"), (None, Some(1.0)), of("b"), (None, Some(1.0)), (Some("c".to_owned()), Some(1.0))];
        assert_eq!(written.take(), expected);
    }
}

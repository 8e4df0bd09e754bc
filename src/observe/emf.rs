//! CloudWatch's embedded metric format: a recorder of the `metrics` facade that writes its numbers as log lines.

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

use self::document::Moment;
use self::registry::Registry;
use self::target::Target;
use self::units::Units;
use crate::clock::time_of_day;

/// How much room for lines is kept from one flush to the next.
const MAX_KEPT_BYTES: usize = 64 * 1_024;

static INSTALLED: OnceLock<Emf> = OnceLock::new();

/// Writes metrics as log lines in CloudWatch's [embedded metric format][spec], from which CloudWatch makes metrics without
/// a call of its API.
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
/// After that every number that goes through the [`metrics`] facade is written, the processor's own and those of your
/// handlers, `metrics::counter!("orders_shipped").increment(1)`. The processor flushes at the end of each batch, whatever
/// came of it; what is recorded elsewhere goes out with the next batch, or with [`flush`](Self::flush).
///
/// # Documents
/// - The dimensions are `service` alone and, for a metric with labels, also `service` with its labels. So a metric can be
///   watched as a whole, whatever labels it has. The processor's label `table` is a property and no dimension, unless
///   [`label_as_dimension`](EmfBuilder::label_as_dimension) says so.
/// - A counter is what was added since the last flush, a gauge its present value, a histogram all its observations.
/// - The unit is the one that the metric was described with. What CloudWatch has no unit for is converted: nanoseconds to
///   microseconds, kibibytes and larger to bytes.
/// - Limits of the format are kept by writing further documents: 100 metrics, 100 observations of each, 30 dimensions to
///   a set, 256 KB. Nothing is dropped but what JSON has no number for (NaN, infinity).
/// - A label that CloudWatch cannot take as a dimension, being empty, longer than 1,024 characters or not ASCII, is a
///   property.
/// - Each document is one line. Those of a flush are written in one piece.
///
/// # Concurrent invocations
/// A number is written once. The processor's own numbers stand with their `requestId`. Those of handlers do, too, while one
/// invocation runs; of invocations that overlap nobody can tell whose they are, and they are written without one.
///
/// [spec]: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
#[derive(Clone)]
pub struct Emf {
    inner: Arc<Inner>,
}

struct Inner {
    target: Target,
    registry: Registry,
    /// For the processor's own numbers of an invocation that overlaps others, one after the other.
    own: Registry,
    units: Units,
    output: Mutex<Output>,
    invocations: Mutex<Invocations>,
}

struct Output {
    writer: Box<dyn Write + Send>,
    /// Those of the last flush: what counts is their room.
    lines: Vec<u8>,
}

/// Which invocations the numbers since the last flush may be of.
#[derive(Default)]
struct Invocations {
    running: usize,
    overlapped: bool,
}

impl Emf {
    /// Starts with the environment's settings: namespace `POWERTOOLS_METRICS_NAMESPACE` or `LambdaStreams`, service
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
    /// The processor does so after each batch; this is for numbers that are recorded outside one.
    pub fn flush(&self) {
        let _invocations = lock(&self.inner.invocations);
        self.write(&self.inner.registry, None);
    }

    /// A line that cannot be written is lost: an invocation must not fail for its metrics.
    fn write(&self, registry: &Registry, request_id: Option<&str>) {
        let Inner { target, units, output, .. } = &*self.inner;
        let Output { writer, lines } = &mut *lock(output);
        lines.clear();
        registry.write(units, target, &Moment::new(time_of_day(), request_id), lines);
        if !lines.is_empty() {
            let _ = writer.write_all(lines).and_then(|()| writer.flush());
            lines.truncate(MAX_KEPT_BYTES);
            lines.shrink_to(MAX_KEPT_BYTES);
        }
    }

    fn begin(&self) {
        let mut invocations = lock(&self.inner.invocations);
        invocations.overlapped |= invocations.running > 0;
        invocations.running += 1;
    }

    fn end(&self, request_id: &str, record: impl FnOnce()) {
        let request_id = Some(request_id).filter(|id| !id.is_empty());
        // Held until all is written, so that no invocation begins in between and has its numbers taken for this one's.
        let mut invocations = lock(&self.inner.invocations);
        if invocations.overlapped {
            metrics::with_local_recorder(&self.inner.own, record);
            self.write(&self.inner.own, request_id);
            self.write(&self.inner.registry, None);
        } else {
            metrics::with_local_recorder(&self.inner.registry, record);
            self.write(&self.inner.registry, request_id);
        }
        invocations.leave();
    }

    fn cancel(&self) {
        let mut invocations = lock(&self.inner.invocations);
        self.write(&self.inner.registry, None);
        invocations.leave();
    }
}

impl Invocations {
    /// One has ended, and all numbers are written: what follows is of those that still run.
    fn leave(&mut self) {
        self.running -= 1;
        self.overlapped = self.running > 1;
    }
}

/// An invocation that runs while EMF is installed.
pub(crate) struct InvocationGuard {
    /// Until it has ended.
    emf: Option<&'static Emf>,
}

impl InvocationGuard {
    pub(crate) fn begin() -> Option<Self> {
        let emf = INSTALLED.get()?;
        emf.begin();
        Some(Self { emf: Some(emf) })
    }

    /// Records the invocation's own numbers, and writes them with all that its handlers recorded.
    pub(crate) fn end(mut self, request_id: &str, record: impl FnOnce()) {
        if let Some(emf) = self.emf.take() {
            emf.end(request_id, record);
        }
    }
}

/// Also an invocation that is cancelled has ended.
impl Drop for InvocationGuard {
    fn drop(&mut self) {
        if let Some(emf) = self.emf.take() {
            emf.cancel();
        }
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
    // What a panic of a writer may leave behind is half a line, and the numbers are whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

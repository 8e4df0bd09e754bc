//! Sets up [`Emf`]: its namespace, dimensions, properties and writer, checked against CloudWatch's limits.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::{self, Write};

use super::target::{self, Target};
use super::{Emf, INSTALLED};
use crate::error::Error;
use crate::variables::{METRICS_NAMESPACE, SERVICE_NAME};

const DEFAULT_NAMESPACE: &str = "LambdaStreams";
/// What Powertools writes where the service is not named.
const UNKNOWN_SERVICE: &str = "service_undefined";
/// Leaves room for a metric's labels in a set of 30 dimensions.
const MAX_SHARED_DIMENSIONS: usize = 20;
const MAX_PROPERTY_BYTES: usize = 50_000;

/// Sets up [`Emf`]: its namespace, its dimensions, and where it writes.
///
/// Available with the feature `emf`, which is enabled by default.
///
/// ```
/// use lambda_streams::Emf;
///
/// let emf = Emf::builder().namespace("Orders").service("order-stream").property("version", "1.2.0").build()?;
/// # let _ = emf;
/// # Ok::<(), lambda_streams::Error>(())
/// ```
#[must_use]
pub struct EmfBuilder {
    namespace: String,
    dimensions: BTreeMap<String, String>,
    properties: BTreeMap<String, String>,
    property_labels: BTreeSet<String>,
    writer: Box<dyn Write + Send>,
}

impl EmfBuilder {
    pub(super) fn new() -> Self {
        let set = |name: &str| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
        let service = set(SERVICE_NAME).or_else(|| set("AWS_LAMBDA_FUNCTION_NAME"));
        let builder = Self {
            namespace: set(METRICS_NAMESPACE).unwrap_or_else(|| DEFAULT_NAMESPACE.to_owned()),
            dimensions: BTreeMap::new(),
            properties: BTreeMap::new(),
            property_labels: BTreeSet::from(["table".to_owned(), "entity".to_owned()]),
            writer: Box::new(io::stdout()),
        };
        builder.service(service.unwrap_or_else(|| UNKNOWN_SERVICE.to_owned()))
    }

    /// The CloudWatch namespace: 1 to 255 letters, digits, spaces and `.-_/#:`. Default: `POWERTOOLS_METRICS_NAMESPACE`, or `LambdaStreams`.
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = namespace.into();
        self
    }

    /// The value of the dimension `service`. Default: `POWERTOOLS_SERVICE_NAME`, or the function's name.
    pub fn service(self, service: impl Into<String>) -> Self {
        self.dimension("service", service)
    }

    /// Adds a dimension to every metric. There can be at most 20.
    ///
    /// An alarm names all dimensions of its metric. With a further dimension, the alarms of `infra-cdk` no longer find their metrics.
    pub fn dimension(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.dimensions.insert(name.into(), value.into());
        self
    }

    /// Adds a member to every document that is not a dimension, such as a version. The log can be searched for it.
    pub fn property(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.properties.insert(name.into(), value.into());
        self
    }

    /// Makes a label of a metric a property instead of a dimension. CloudWatch charges for every combination of dimension values.
    pub fn label_as_property(mut self, name: impl Into<String>) -> Self {
        self.property_labels.insert(name.into());
        self
    }

    /// Makes a label of a metric a dimension. This is the default for every label except `table` and `entity`.
    pub fn label_as_dimension(mut self, name: &str) -> Self {
        self.property_labels.remove(name);
        self
    }

    /// Where the lines are written. All lines of a flush are written in one call of `write_all`. Default: standard output.
    pub fn writer(mut self, writer: impl Write + Send + 'static) -> Self {
        self.writer = Box::new(writer);
        self
    }

    /// Installs it as the metrics recorder of this process. Processors then flush it after each batch.
    ///
    /// # Errors
    /// As [`build`](Self::build), and if the process has a recorder already ([`Error::is_configuration`]).
    pub fn install(self) -> Result<Emf, Error> {
        let emf = self.build()?;
        if !become_recorder(&emf) {
            return Err(Error::configuration("the process already has a metrics recorder: install only one"));
        }
        Ok(emf)
    }

    /// Installs it unless the process has a recorder already.
    ///
    /// # Errors
    /// As [`build`](Self::build).
    pub(crate) fn install_if_none(self) -> Result<(), Error> {
        become_recorder(&self.build()?);
        Ok(())
    }

    /// Builds it without installing it, for a test or to combine it with another recorder. Call [`Emf::flush`] yourself then.
    ///
    /// # Errors
    /// If CloudWatch does not accept the namespace or a dimension, or if there are too many dimensions or properties
    /// ([`Error::is_configuration`]).
    pub fn build(self) -> Result<Emf, Error> {
        self.validate()?;
        let target = Target {
            namespace: self.namespace,
            dimensions: self.dimensions.into_iter().collect(),
            properties: self.properties.into_iter().collect(),
            property_labels: self.property_labels,
        };
        Ok(Emf::new(target, self.writer))
    }

    fn validate(&self) -> Result<(), Error> {
        let namespace = &self.namespace;
        let is_allowed = |c: char| c.is_ascii_alphanumeric() || ".-_/#: ".contains(c);
        let fault = if !(1..=255).contains(&namespace.trim().len()) || !namespace.chars().all(is_allowed) {
            format!("the metrics' namespace {namespace:?} is not 1 to 255 letters, digits and `.-_/#:`")
        } else if namespace.starts_with(':') || namespace.starts_with("AWS/") {
            format!("the metrics' namespace {namespace:?} starts with `:` or `AWS/`, which are CloudWatch's own")
        } else if let Some((name, value)) =
            self.dimensions.iter().find(|(name, value)| !target::is_dimension(name, value) || *name == "_aws")
        {
            format!("CloudWatch does not accept the dimension {name:?} with the value {value:?}")
        } else if self.dimensions.len() > MAX_SHARED_DIMENSIONS {
            format!(
                "every metric would have {} dimensions: at most {MAX_SHARED_DIMENSIONS} are allowed",
                self.dimensions.len()
            )
        } else if self.properties.contains_key("_aws") {
            "a property cannot be named `_aws`, which is the format's own".to_owned()
        } else if serde_json::to_string(&self.properties).map_or(usize::MAX, |json| json.len()) > MAX_PROPERTY_BYTES {
            format!("the metrics' properties are longer than {MAX_PROPERTY_BYTES} bytes")
        } else {
            return Ok(());
        };
        Err(Error::configuration(fault))
    }
}

/// Makes it the recorder of this process, unless there is one. Returns whether it did.
fn become_recorder(emf: &Emf) -> bool {
    let is_first = metrics::set_global_recorder(emf.clone()).is_ok() && INSTALLED.set(emf.clone()).is_ok();
    if is_first {
        warn_if_dropped(|name| std::env::var(name).unwrap_or_default());
    }
    is_first
}

/// Warns if Lambda drops the lines: with the JSON format it filters by level, and takes a line that has none for `INFO`
/// ([AWS: log level filtering](https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-log-level.html)).
fn warn_if_dropped(variable: impl Fn(&str) -> String) {
    const HINT: &str = "Lambda drops the metrics: with JSON logs it takes them for INFO, so set the function's application log level to INFO";
    let level = variable("AWS_LAMBDA_LOG_LEVEL").to_ascii_uppercase();
    if !variable("AWS_LAMBDA_LOG_FORMAT").eq_ignore_ascii_case("JSON") {
        return;
    }
    match level.as_str() {
        "WARN" => tracing::warn!(log_level = level, "{HINT}"),
        // A warning would be dropped as well.
        "ERROR" | "FATAL" => tracing::error!(log_level = level, "{HINT}"),
        _ => {}
    }
}

impl fmt::Debug for EmfBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmfBuilder")
            .field("namespace", &self.namespace)
            .field("dimensions", &self.dimensions)
            .finish_non_exhaustive()
    }
}

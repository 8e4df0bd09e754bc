//! The environment variables of the process, or those of a test.

use std::sync::Arc;

const REGIONS: [&str; 2] = ["AWS_REGION", "AWS_DEFAULT_REGION"];

type ReadVariable = dyn Fn(&str) -> Option<String> + Send + Sync;

/// The environment variables, read again each time.
#[derive(Clone)]
pub(crate) struct Variables(Arc<ReadVariable>);

impl Variables {
    /// Those of this process.
    pub(crate) fn of_process() -> Self {
        Self(Arc::new(|name| std::env::var(name).ok()))
    }

    #[cfg(test)]
    pub(crate) fn new(read: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(read))
    }

    /// The value of a variable, if it is not empty.
    pub(crate) fn get(&self, name: &str) -> Option<String> {
        (self.0)(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    /// The function's region.
    pub(crate) fn region(&self) -> Option<String> {
        REGIONS.iter().find_map(|name| self.get(name))
    }
}

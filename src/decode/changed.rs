//! The result of a comparison: the names of the attributes in which two images differ.

/// The names of the attributes in which two images of an item differ, each list sorted.
///
/// ```
/// use lambda_streams::Record;
/// use lambda_streams::testing::TestStream;
/// use serde_json::json;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (old, new) = (json!({"id": {"S": "a"}, "status": {"S": "new"}}), json!({"id": {"S": "a"}, "status": {"S": "paid"}, "paid_at": {"N": "7"}}));
/// let record: Record = TestStream::new("orders", &["id"]).modify(old, new).change()?;
/// let changed = record.changed_attributes()?;
/// assert_eq!((changed.added, changed.different), (vec!["paid_at".to_owned()], vec!["status".to_owned()]));
/// assert!(changed.removed.is_empty());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChangedAttributes {
    /// In the new image only.
    pub added: Vec<String>,
    /// In the old image only.
    pub removed: Vec<String>,
    /// In both, with another value or another type.
    pub different: Vec<String>,
}

impl ChangedAttributes {
    /// Whether the attribute was added, removed or given another value.
    pub fn contains(&self, name: &str) -> bool {
        self.iter().any(|changed| changed == name)
    }

    /// All names: the added, then the removed, then the different ones.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.added.iter().chain(&self.removed).chain(&self.different).map(String::as_str)
    }

    /// Whether no attribute differs.
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }
}

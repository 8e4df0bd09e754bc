//! The result of a comparison: the names of the attributes in which two images differ.

/// The names of the attributes in which two images of an item differ, each list sorted.
///
/// ```
/// # use lambda_streams::ChangedAttributes;
/// # fn of(changed: &ChangedAttributes) {
/// for name in changed.iter() {
///     println!("{name} has changed");
/// }
/// assert!(!changed.contains("an attribute that neither image has"));
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

    /// Whether the two images are the same item.
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }
}

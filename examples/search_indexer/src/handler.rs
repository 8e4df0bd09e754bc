//! The business: items of a single table become documents of a search index.

use lambda_streams::{Change, HandlerError};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::json;

/// Where the search engine is.
#[derive(Debug, Clone)]
pub(crate) struct Search {
    pub(crate) http: reqwest::Client,
    pub(crate) url: String,
}

/// A type of items, each of which is a document of an index.
pub(crate) trait Document: Serialize + DeserializeOwned {
    const INDEX: &'static str;
    fn id(&self) -> &str;
    /// Every write of the item adds one. (A sequence number cannot be the version: it has up to 40 digits, and a version
    /// has 63 bits.)
    fn version(&self) -> u64;
}

/// Its item also has when the customer was last seen, which nobody searches for.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Customer {
    id: String,
    name: String,
    city: String,
    #[serde(skip_serializing)]
    version: u64,
}

impl Document for Customer {
    const INDEX: &'static str = "customers";

    fn id(&self) -> &str {
        &self.id
    }

    fn version(&self) -> u64 {
        self.version
    }
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Order {
    id: String,
    customer: String,
    placed: String,
    status: String,
    cents: u64,
    #[serde(skip_serializing)]
    version: u64,
}

impl Document for Order {
    const INDEX: &'static str = "orders";

    fn id(&self) -> &str {
        &self.id
    }

    fn version(&self) -> u64 {
        self.version
    }
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Line {
    id: String,
    order: String,
    product: String,
    quantity: u32,
    #[serde(skip_serializing)]
    version: u64,
}

impl Document for Line {
    const INDEX: &'static str = "lines";

    fn id(&self) -> &str {
        &self.id
    }

    fn version(&self) -> u64 {
        self.version
    }
}

/// Brings up to a hundred documents up to date in one request. Each has an answer of its own.
pub(crate) async fn index<T: Document>(
    search: Search,
    changes: Vec<Change<T>>,
) -> Result<Vec<Result<(), HandlerError>>, HandlerError> {
    let actions = changes.iter().map(action).collect::<Result<String, _>>()?;
    let request = search.http.post(format!("{}/_bulk", search.url)).header("content-type", "application/x-ndjson");
    // What fails as a whole says nothing of any one document: `?` has it tried again.
    let response = request.body(actions).send().await?.error_for_status()?;
    let Answers { items } = response.json().await?;
    Ok(items.into_iter().map(|item| item.index.into_result()).collect())
}

/// The lines of a change in the request.
fn action<T: Document>(change: &Change<T>) -> Result<String, HandlerError> {
    let target = |document: &T, version: u64| json!({"_index": T::INDEX, "_id": document.id(), "version": version, "version_type": "external"});
    match (&change.new, &change.old) {
        (Some(new), _) => {
            let action = json!({"index": target(new, new.version())});
            Ok(format!("{action}\n{}\n", serde_json::to_string(new)?))
        }
        (None, Some(old)) => Ok(format!("{}\n", json!({"delete": target(old, old.version().saturating_add(1))}))),
        (None, None) => Err("the stream carries no images: its view type must be NEW_AND_OLD_IMAGES".into()),
    }
}

#[derive(Deserialize)]
struct Answers {
    items: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    #[serde(alias = "delete")]
    index: Answer,
}

#[derive(Deserialize)]
struct Answer {
    status: u16,
    error: Option<Reason>,
}

/// Its `reason` would quote the document, and this text goes to the log.
#[derive(Deserialize)]
struct Reason {
    r#type: String,
}

impl Answer {
    fn into_result(self) -> Result<(), HandlerError> {
        let Some(Reason { r#type }) = self.error else { return Ok(()) };
        match self.status {
            // The index has this version, or a newer one: the record was delivered again.
            409 => Ok(()),
            // The document does not fit the index, and never will.
            400 => Err(HandlerError::permanent(r#type)),
            _ => Err(HandlerError::retryable(r#type)),
        }
    }
}

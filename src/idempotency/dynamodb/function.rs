//! The client of a function, made from its environment: the table's name, its region, and another endpoint if a variable names one.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::SharedHttpClient;
use aws_sdk_dynamodb::config::retry::RetryConfig;

use super::DynamoDbIdempotencyStore;
use crate::aws::{
    Connection, FunctionCredentials, NamedEndpoint, NotAnEndpoint, Variables, http_client, is_remote_http,
};
use crate::error::Error;
use crate::failure::shown;
use crate::variables::IDEMPOTENCY_TABLE;

const ENDPOINT: &str = "AWS_ENDPOINT_URL_DYNAMODB";
const MAX_ATTEMPTS: u32 = 3;
/// The longest delay before the second attempt. A batch waits half a second for the store by default.
const BASE_DELAY: std::time::Duration = std::time::Duration::from_millis(50);

/// The name of the table as the process's environment has it.
pub(crate) fn table_of_environment() -> Result<String, Error> {
    let table = std::env::var(IDEMPOTENCY_TABLE).map_err(|_| {
        Error::configuration(format!(
            "the environment variable `{IDEMPOTENCY_TABLE}` is not set: set it to the name or the ARN of the idempotency table"
        ))
    })?;
    check_table(&table)?;
    Ok(table)
}

/// A table's name has 3 to 255 letters, digits, hyphens, underscores and dots. Its ARN ends with it.
pub(super) fn check_table(table: &str) -> Result<(), Error> {
    let name = match table.strip_prefix("arn:") {
        Some(arn) => arn.split_once(":table/").map_or("", |(_, name)| name),
        None => table,
    };
    let is_usable = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if (3..=255).contains(&name.len()) && name.bytes().all(is_usable) {
        return Ok(());
    }
    Err(Error::configuration(format!(
        "the environment variable `{IDEMPOTENCY_TABLE}` is {:?}: it must be the name or the ARN of a DynamoDB table",
        shown(table)
    )))
}

/// The region that a table's ARN names.
fn region_of(table: &str) -> Option<&str> {
    table.strip_prefix("arn:")?.split(':').nth(2).filter(|region| !region.is_empty())
}

/// The environment that a function has.
pub(super) struct Function(Variables);

impl Function {
    pub(super) fn of_process() -> Self {
        Self(Variables::of_process())
    }

    #[cfg(test)]
    pub(super) fn new(variables: Variables) -> Self {
        Self(variables)
    }

    /// The store in this table; `http` is `None` if it calls the network.
    pub(super) fn store(self, table: &str, http: Option<SharedHttpClient>) -> Result<DynamoDbIdempotencyStore, Error> {
        let Self(variables) = self;
        let region = region_of(table).map(str::to_owned).or_else(|| variables.region()).ok_or_else(|| {
            Error::configuration(
                "no region is known for the idempotency table: set the environment variable `AWS_REGION` to that of the table",
            )
        })?;
        let named = NamedEndpoint::of(ENDPOINT, &variables).map_err(|NotAnEndpoint(variable)| {
            Error::configuration(format!(
                "the environment variable `{variable}` is not the URL of an endpoint, such as \
                 https://dynamodb.eu-central-1.amazonaws.com"
            ))
        })?;
        let endpoint = named.as_ref().map(|named| named.url.as_str());
        let http = http.unwrap_or_else(|| http_client(endpoint, &variables));
        let credentials = FunctionCredentials::new(variables, http.clone());
        let retries = RetryConfig::standard().with_max_attempts(MAX_ATTEMPTS).with_initial_backoff(BASE_DELAY);
        let connection = Connection { region: &region, endpoint, retries, credentials: credentials.clone(), http };
        let store = DynamoDbIdempotencyStore::new(Client::new(&connection.into_config()), table);
        Ok(DynamoDbIdempotencyStore {
            name: name(table, named.as_ref()).into(),
            credentials: Some(credentials),
            ..store
        })
    }
}

/// How errors name the table. Another endpoint than AWS's own is logged.
fn name(table: &str, named: Option<&NamedEndpoint>) -> String {
    let Some(NamedEndpoint { variable, url }) = named else { return table.to_owned() };
    tracing::info!(table, endpoint = url, variable, "the idempotency table is at the endpoint that the variable names");
    if is_remote_http(url) {
        tracing::warn!(endpoint = url, "the idempotency store is called unencrypted: use https");
    }
    format!("{table} at {url} ({variable})")
}

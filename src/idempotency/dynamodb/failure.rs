//! What an error of the table says to the person who reads it: the operation, the table, DynamoDB's code and message, and what to do.

use std::error::Error as StdError;

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};

use crate::aws::{REFUSED_CREDENTIALS, chain, credentials_error, is_any};
use crate::variables::IDEMPOTENCY_TABLE;

/// The text of an error. Nothing that a request or a row has is in it, except for what DynamoDB's message quotes: keys of rows at most.
pub(super) fn told<E>(error: &SdkError<E>, operation: &str, table: &str) -> String
where
    E: ProvideErrorMetadata + StdError + 'static,
{
    let what = format!("{operation} on the idempotency table `{table}`");
    if let Some((_, why)) = credentials_error(error) {
        return format!("{what} has no credentials: {why}");
    }
    let status = error.raw_response().map_or(0, |response| response.status().as_u16());
    match (error, error.code()) {
        (SdkError::ServiceError(_), Some(code)) => {
            let message = error.message().unwrap_or_default().trim().trim_end_matches('.');
            let message = if message.is_empty() { String::new() } else { format!(" ({message})") };
            let advice = advice(code, message.as_str()).map_or(String::new(), |advice| format!(": {advice}"));
            format!("{what} failed with {code}{message}{advice}")
        }
        (SdkError::ServiceError(_), None) if !(200..300).contains(&status) => {
            format!("{what} failed with status {status}")
        }
        (SdkError::ConstructionFailure(_), _) => format!("{what} could not be requested: {}", chain(error)),
        (SdkError::DispatchFailure(_) | SdkError::TimeoutError(_), _) => format!(
            "{what} got no answer: {}; check that the function's network has a route to DynamoDB, such as a gateway endpoint in its VPC \
             (`AWS_ENDPOINT_URL_DYNAMODB` names another host)",
            chain(error)
        ),
        _ => format!("{what} got an answer that cannot be read: {}", chain(error)),
    }
}

/// What to do; `None` if the configuration is not at fault.
fn advice(code: &str, message: &str) -> Option<String> {
    if is_any(code, &["AccessDenied"]) {
        let advice = if message.to_ascii_lowercase().contains("kms") {
            "grant the function kms:Decrypt on the table's key"
        } else {
            "grant the function dynamodb:GetItem, dynamodb:BatchGetItem, dynamodb:PutItem and dynamodb:UpdateItem on the table, \
             for keys that begin with the consumer's name"
        };
        return Some(advice.to_owned());
    }
    if is_any(code, &["ResourceNotFound"]) {
        return Some(format!(
            "create the table in the client's region, or correct its name, which `{IDEMPOTENCY_TABLE}` has where the environment names \
             the table"
        ));
    }
    if is_any(code, &["ValidationException"]) {
        return Some("the table needs the partition key `key` of the type S (string), and no sort key".to_owned());
    }
    if is_any(code, &["Throughput", "Throttling", "RequestLimitExceeded"]) {
        return Some("give the table on-demand capacity, or more of it".to_owned());
    }
    let is_about_credentials = is_any(code, &REFUSED_CREDENTIALS) || is_any(code, &["Signature"]);
    is_about_credentials.then(|| "check the credentials of the client".to_owned())
}

/// A row has an attribute that no version of this crate writes like that.
pub(super) fn unreadable(attribute: &str, operation: &str, table: &str) -> String {
    format!(
        "{operation} on the idempotency table `{table}` returned a row whose attribute `{attribute}` cannot be read: something else, or a \
         newer version of this crate, has written it; remove the row to have it written again"
    )
}

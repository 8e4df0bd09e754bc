//! The settings of a deployed event source mapping.

use std::collections::HashSet;

use aws_sdk_lambda::Client;
use aws_sdk_lambda::operation::get_event_source_mapping::GetEventSourceMappingOutput;
use aws_sdk_lambda::types::EventSourceMappingConfiguration;
use serde_json::{Value, json};

use crate::settings::Settings;
use crate::source::SourceError;
use crate::streams::ApiError;

/// A deployed event source mapping: its settings, its stream and its function.
/// ```no_run
/// use lambda_streams_local::from_deployed;
///
/// # async fn example(client: aws_sdk_lambda::Client) -> Result<(), Box<dyn std::error::Error>> {
/// let mapping = from_deployed(&client, "orders", None).await?;
/// if mapping.state.as_deref() == Some("Enabled") {
///     println!("{} is enabled: the deployed function gets the records too", mapping.uuid);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct DeployedMapping {
    /// The mapping's id, a UUID.
    pub uuid: String,
    /// The mapping's settings.
    pub settings: Settings,
    /// The ARN of the stream that it reads.
    pub stream_arn: String,
    /// The ARN of the function that it invokes; `None` if the endpoint does not say.
    pub function_arn: Option<String>,
    /// `Enabled`, `Disabled`, or a state in between, such as `Disabling`. While it is enabled, the deployed function gets
    /// the records too.
    pub state: Option<String>,
}

/// Reads the event source mapping of a deployed function with a DynamoDB stream, so you can run locally with its settings.
///
/// `uuid` chooses one of several mappings. Without it, the function must have exactly one. Calls `ListEventSourceMappings`
/// and `GetEventSourceMapping`.
///
/// # Errors
/// If there is no mapping or more than one, if this version does not know a setting, if the filters are encrypted and the
/// credentials lack the permission to decrypt them, if a call is denied, or if the endpoint cannot be reached.
///
/// ```no_run
/// use lambda_streams_local::from_deployed;
///
/// # async fn example(client: aws_sdk_lambda::Client) -> Result<(), Box<dyn std::error::Error>> {
/// let deployed = from_deployed(&client, "orders", None).await?;
/// println!("batches of {} from {}", deployed.settings.batch_size, deployed.stream_arn);
/// # Ok(())
/// # }
/// ```
pub async fn from_deployed(
    client: &Client,
    function: &str,
    uuid: Option<&str>,
) -> Result<DeployedMapping, SourceError> {
    let uuid = match uuid {
        Some(uuid) => uuid.to_owned(),
        None => only_mapping(function, list(client, function).await?)?,
    };
    let mapping = client.get_event_source_mapping().uuid(&uuid).send().await;
    let mapping = mapping.map_err(|error| ApiError::of(&error).into_error(&format!("event source mapping {uuid}")))?;
    let settings = serde_json::from_value(to_json(&mapping))
        .map_err(|error| SourceError::new(format!("event source mapping {uuid}: {error}")))?;
    let stream_arn = mapping.event_source_arn.filter(|arn| is_dynamodb_stream(arn));
    Ok(DeployedMapping {
        settings,
        stream_arn: stream_arn
            .ok_or_else(|| SourceError::new(format!("event source mapping {uuid} does not read a DynamoDB stream")))?,
        function_arn: mapping.function_arn,
        state: mapping.state,
        uuid,
    })
}

async fn list(client: &Client, function: &str) -> Result<Vec<EventSourceMappingConfiguration>, SourceError> {
    let mut mappings = Vec::new();
    let mut from = None;
    let mut markers = HashSet::new();
    loop {
        let page = client.list_event_source_mappings().function_name(function).set_marker(from).send().await;
        let page = page.map_err(|error| ApiError::of(&error).into_error(&format!("function `{function}`")))?;
        mappings.extend(page.event_source_mappings.unwrap_or_default());
        let Some(marker) = page.next_marker else { return Ok(mappings) };
        if !markers.insert(marker.clone()) {
            let message =
                format!("function `{function}`: the list of its mappings has no end: the endpoint repeats a page");
            return Err(SourceError::new(message));
        }
        from = Some(marker);
    }
}

fn only_mapping(function: &str, mappings: Vec<EventSourceMappingConfiguration>) -> Result<String, SourceError> {
    let of_streams = mappings.into_iter().filter(|mapping| mapping.event_source_arn().is_some_and(is_dynamodb_stream));
    let found: Vec<(String, String)> =
        of_streams.filter_map(|mapping| Some((mapping.uuid?, mapping.event_source_arn?))).collect();
    match found.as_slice() {
        [(uuid, _)] => Ok(uuid.clone()),
        [] => {
            Err(SourceError::new(format!("function `{function}` has no event source mapping with a DynamoDB stream")))
        }
        several => {
            let list: Vec<String> = several.iter().map(|(uuid, arn)| format!("{uuid} ({arn})")).collect();
            Err(SourceError::new(format!(
                "function `{function}` has {} event source mappings with DynamoDB streams. Choose one by its id: {}",
                several.len(),
                list.join(", ")
            )))
        }
    }
}

fn is_dynamodb_stream(arn: &str) -> bool {
    arn.split(':').nth(2) == Some("dynamodb")
}

/// The response on the wire, as far as it concerns a stream.
fn to_json(mapping: &GetEventSourceMappingOutput) -> Value {
    let patterns = mapping.filter_criteria().map(|criteria| {
        let filters = criteria.filters().iter().map(|filter| json!({"Pattern": filter.pattern()}));
        json!({"Filters": filters.collect::<Vec<_>>()})
    });
    let filter_error = mapping
        .filter_criteria_error()
        .map(|error| json!({"ErrorCode": error.error_code(), "Message": error.message()}));
    let destination = mapping
        .destination_config()
        .and_then(|config| config.on_failure())
        .map(|on_failure| json!({"OnFailure": {"Destination": on_failure.destination()}}));
    let types: Vec<&str> = mapping.function_response_types().iter().map(|kind| kind.as_str()).collect();
    json!({
        "BatchSize": mapping.batch_size(),
        "MaximumBatchingWindowInSeconds": mapping.maximum_batching_window_in_seconds(),
        "ParallelizationFactor": mapping.parallelization_factor(),
        "StartingPosition": mapping.starting_position().map(|position| position.as_str()),
        "MaximumRetryAttempts": mapping.maximum_retry_attempts(),
        "MaximumRecordAgeInSeconds": mapping.maximum_record_age_in_seconds(),
        "BisectBatchOnFunctionError": mapping.bisect_batch_on_function_error(),
        "FunctionResponseTypes": types,
        "FilterCriteria": patterns,
        "FilterCriteriaError": filter_error,
        "KMSKeyArn": mapping.kms_key_arn(),
        "TumblingWindowInSeconds": mapping.tumbling_window_in_seconds(),
        "DestinationConfig": destination,
    })
}

//! The JSON of `GetEventSourceMapping`, as far as it concerns a stream.

use serde::Deserialize;

use super::{Settings, SettingsError, StartingPosition};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Mapping {
    batch_size: Option<u32>,
    maximum_batching_window_in_seconds: Option<u32>,
    parallelization_factor: Option<u32>,
    starting_position: Option<String>,
    maximum_retry_attempts: Option<i32>,
    maximum_record_age_in_seconds: Option<i32>,
    bisect_batch_on_function_error: Option<bool>,
    function_response_types: Option<Vec<String>>,
    filter_criteria: Option<FilterCriteria>,
    filter_criteria_error: Option<FilterCriteriaError>,
    #[serde(rename = "KMSKeyArn")]
    kms_key_arn: Option<String>,
    tumbling_window_in_seconds: Option<u32>,
    destination_config: Option<DestinationConfig>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct FilterCriteria {
    filters: Option<Vec<Filter>>,
}

/// In place of encrypted filters that the caller has no permission to read.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct FilterCriteriaError {
    error_code: Option<String>,
    message: Option<String>,
}

impl FilterCriteriaError {
    fn into_settings_error(self, key: Option<&str>) -> SettingsError {
        let code = self.error_code.unwrap_or_else(|| "an error without a code".to_owned());
        let why = match self.message {
            Some(message) => format!("{code}: {}", message.trim_end_matches('.')),
            None => code,
        };
        unreadable_filters(&why, key)
    }
}

/// Without its filters a mapping would hand the function records that the deployed one drops.
fn unreadable_filters(why: &str, key: Option<&str>) -> SettingsError {
    let key = key.unwrap_or("their KMS key");
    SettingsError::new(
        "FilterCriteria",
        format!(
            "cannot be read ({why}): the filters are encrypted, so allow your credentials `kms:Decrypt` on {key}, or give the \
             settings and the filters as flags instead of taking what is deployed"
        ),
    )
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Filter {
    pattern: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DestinationConfig {
    on_failure: Option<OnFailure>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct OnFailure {
    destination: Option<String>,
}

impl TryFrom<Mapping> for Settings {
    type Error = SettingsError;

    fn try_from(mapping: Mapping) -> Result<Self, SettingsError> {
        let default = Self::default();
        let types = mapping.function_response_types.unwrap_or_default();
        let filters = mapping.filter_criteria.and_then(|criteria| criteria.filters).unwrap_or_default();
        let key = mapping.kms_key_arn.as_deref();
        if let Some(error) = mapping.filter_criteria_error {
            return Err(error.into_settings_error(key));
        }
        if filters.is_empty()
            && let Some(key) = key
        {
            return Err(unreadable_filters("the response has none of them", Some(key)));
        }
        let filter_patterns = filters.into_iter().map(|filter| filter.pattern).collect::<Option<Vec<_>>>();
        let filter_patterns =
            filter_patterns.ok_or_else(|| SettingsError::new("FilterCriteria", "has a filter without a pattern"))?;
        let settings = Self {
            batch_size: mapping.batch_size.unwrap_or(default.batch_size),
            maximum_batching_window_in_seconds: mapping.maximum_batching_window_in_seconds.unwrap_or_default(),
            parallelization_factor: mapping.parallelization_factor.unwrap_or(default.parallelization_factor),
            starting_position: starting_position(mapping.starting_position.as_deref())?,
            maximum_retry_attempts: mapping.maximum_retry_attempts.unwrap_or(default.maximum_retry_attempts),
            maximum_record_age_in_seconds: mapping.maximum_record_age_in_seconds.unwrap_or(-1),
            bisect_batch_on_function_error: mapping.bisect_batch_on_function_error.unwrap_or_default(),
            report_batch_item_failures: types.iter().any(|kind| kind == "ReportBatchItemFailures"),
            filter_patterns,
            tumbling_window_in_seconds: mapping.tumbling_window_in_seconds.unwrap_or_default(),
            on_failure: mapping.destination_config.and_then(|config| config.on_failure?.destination),
            unspecified: default.unspecified,
        };
        settings.validate()?;
        Ok(settings)
    }
}

fn starting_position(name: Option<&str>) -> Result<StartingPosition, SettingsError> {
    match name {
        None | Some("TRIM_HORIZON") => Ok(StartingPosition::TrimHorizon),
        Some("LATEST") => Ok(StartingPosition::Latest),
        Some(other) => Err(SettingsError::new(
            "StartingPosition",
            format!("is `{other}`: for a DynamoDB stream it must be `TRIM_HORIZON` or `LATEST`"),
        )),
    }
}

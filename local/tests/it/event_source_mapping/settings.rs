//! AWS's names, ranges and defaults.

use lambda_streams_local::{Settings, StartingPosition};

fn refused(settings: Settings) -> String {
    settings.validate().expect_err("AWS refuses it").to_string()
}

#[test]
fn every_range_is_checked() {
    let default = Settings::default;
    for (settings, message) in [
        (Settings { batch_size: 0, ..default() }, "`BatchSize` is 0: it must be 1 to 10000"),
        (Settings { batch_size: 10_001, ..default() }, "`BatchSize` is 10001: it must be 1 to 10000"),
        (
            Settings { maximum_batching_window_in_seconds: 301, ..default() },
            "`MaximumBatchingWindowInSeconds` is 301: it must be 0 to 300",
        ),
        (Settings { parallelization_factor: 0, ..default() }, "`ParallelizationFactor` is 0: it must be 1 to 10"),
        (Settings { parallelization_factor: 11, ..default() }, "`ParallelizationFactor` is 11: it must be 1 to 10"),
        (Settings { maximum_retry_attempts: -2, ..default() }, "`MaximumRetryAttempts` is -2: it must be -1 to 10000"),
        (
            Settings { maximum_record_age_in_seconds: 59, ..default() },
            "`MaximumRecordAgeInSeconds` is 59: it must be -1 for no limit, or 60 to 604800",
        ),
        (
            Settings { maximum_record_age_in_seconds: 604_801, ..default() },
            "`MaximumRecordAgeInSeconds` is 604801: it must be -1 for no limit, or 60 to 604800",
        ),
        (
            Settings { tumbling_window_in_seconds: 901, ..default() },
            "`TumblingWindowInSeconds` is 901: it must be 0 to 900",
        ),
        (
            Settings { filter_patterns: vec![r#"{"eventName":["INSERT"]}"#.to_owned(); 6], ..default() },
            "`FilterCriteria` has 6 patterns: it must be at most 5",
        ),
        (
            Settings { on_failure: Some("failed".to_owned()), ..default() },
            "`DestinationConfig.OnFailure` has a destination that is neither the ARN of an SQS queue, an SNS topic or an S3 \
             bucket, nor `kafka://` and a topic",
        ),
    ] {
        assert_eq!(refused(settings), message);
    }
}

#[test]
fn the_ends_of_every_range_are_taken() {
    for settings in [
        Settings { on_failure: Some("kafka://failed".to_owned()), ..Settings::default() },
        Settings { batch_size: 1, maximum_retry_attempts: 0, maximum_record_age_in_seconds: 60, ..Settings::default() },
        Settings {
            batch_size: 10_000,
            maximum_batching_window_in_seconds: 300,
            parallelization_factor: 10,
            maximum_retry_attempts: 10_000,
            maximum_record_age_in_seconds: 604_800,
            tumbling_window_in_seconds: 900,
            ..Settings::default()
        },
    ] {
        settings.validate().expect("AWS takes it");
    }
}

#[test]
fn the_response_of_get_event_source_mapping_is_read() {
    let settings: Settings = serde_json::from_str(
        r#"{
            "UUID": "14e0db71-xmpl-4eb5-b481-8945cf9d10c2", "State": "Enabled", "LastModified": 1700000000.0,
            "EventSourceArn": "arn:aws:dynamodb:us-east-2:123456789012:table/t/stream/2019-11-14T00:04:06.388",
            "FunctionArn": "arn:aws:lambda:us-east-2:123456789012:function:f", "LastProcessingResult": "OK",
            "StartingPosition": "LATEST", "BatchSize": 200, "MaximumBatchingWindowInSeconds": 5,
            "ParallelizationFactor": 10, "MaximumRecordAgeInSeconds": 43200, "BisectBatchOnFunctionError": true,
            "MaximumRetryAttempts": 3, "TumblingWindowInSeconds": 0,
            "FunctionResponseTypes": ["ReportBatchItemFailures"],
            "DestinationConfig": {"OnFailure": {"Destination": "arn:aws:s3:::failed"}},
            "FilterCriteria": {"Filters": [{"Pattern": "{\"eventName\":[\"INSERT\"]}"}]}
        }"#,
    )
    .expect("it is what AWS answers");
    let expected = Settings {
        starting_position: StartingPosition::Latest,
        batch_size: 200,
        maximum_batching_window_in_seconds: 5,
        parallelization_factor: 10,
        maximum_record_age_in_seconds: 43_200,
        bisect_batch_on_function_error: true,
        maximum_retry_attempts: 3,
        report_batch_item_failures: true,
        on_failure: Some("arn:aws:s3:::failed".to_owned()),
        filter_patterns: vec![r#"{"eventName":["INSERT"]}"#.to_owned()],
        ..Settings::default()
    };
    assert_eq!(settings, expected);
}

#[test]
fn an_absent_setting_has_awss_default() {
    for json in
        ["{}", r#"{"FilterCriteria": null, "DestinationConfig": {"OnFailure": {}}, "FunctionResponseTypes": []}"#]
    {
        assert_eq!(serde_json::from_str::<Settings>(json).expect("it is valid"), Settings::default());
    }
}

#[test]
fn filters_that_cannot_be_read_are_refused() {
    let key = "arn:aws:kms:eu-central-1:123456789012:key/1";
    let denied = r#"{"ErrorCode": "KMSAccessDeniedException", "Message": "not allowed."}"#;
    for (json, expected) in [
        (
            format!(r#"{{"KMSKeyArn": "{key}", "FilterCriteriaError": {denied}}}"#),
            format!(
                "(KMSAccessDeniedException: not allowed): the filters are encrypted, so allow your credentials `kms:Decrypt` on {key}"
            ),
        ),
        (format!(r#"{{"FilterCriteriaError": {denied}}}"#), "`kms:Decrypt` on their KMS key".to_owned()),
        (format!(r#"{{"KMSKeyArn": "{key}", "FilterCriteria": null}}"#), "the response has none of them".to_owned()),
        (r#"{"FilterCriteria": {"Filters": [{}]}}"#.to_owned(), "has a filter without a pattern".to_owned()),
    ] {
        let error = serde_json::from_str::<Settings>(&json).expect_err(&json).to_string();
        assert!(error.starts_with("`FilterCriteria` ") && error.contains(&expected), "{error}");
    }
    let pattern = r#"{"eventName":["INSERT"]}"#;
    let decrypted = serde_json::json!({"KMSKeyArn": key, "FilterCriteria": {"Filters": [{"Pattern": pattern}]}});
    let settings: Settings = serde_json::from_value(decrypted).expect("they can be read");
    assert_eq!(settings.filter_patterns, [pattern]);
}

#[test]
fn settings_of_other_sources_are_refused() {
    let error = serde_json::from_str::<Settings>(r#"{"StartingPosition": "AT_TIMESTAMP"}"#).expect_err("Kinesis only");
    assert!(error.to_string().contains("`StartingPosition` is `AT_TIMESTAMP`"), "{error}");
    let error = serde_json::from_str::<Settings>(r#"{"BatchSize": 0}"#).expect_err("out of range");
    assert!(error.to_string().contains("`BatchSize` is 0"), "{error}");
}

//! Evaluates one function response without running a mapping: what Lambda would do next, and what it would lose silently.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::batch_result::{BatchResult, ResponseRules, interpret};
use crate::files::RecordFiles;
use crate::function::Response;

/// What an event source mapping would do after one response.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Evaluation {
    /// What is done, and what is delivered again.
    pub result: BatchResult,
    /// What AWS would lose silently; `None` if nothing.
    pub warning: Option<String>,
}

impl Evaluation {
    /// Evaluates the response to one event.
    ///
    /// If the event is not a stream event, the response cannot name a sequence number. The event of a tumbling window
    /// follows the rules of windows.
    ///
    /// ```
    /// use lambda_streams_local::{BatchResult, Evaluation, Response};
    ///
    /// let event = r#"{"Records": [{"eventSource": "aws:dynamodb", "dynamodb": {"SequenceNumber": "111"}}]}"#;
    /// let evaluate = |json: &str| Evaluation::of(Response::Returned(json.to_owned()), event, true);
    /// let named = evaluate(r#"{"batchItemFailures": [{"itemIdentifier": "111"}]}"#);
    /// assert_eq!(named.result, BatchResult::Checkpoint { position: 0, sequence_number: "111".to_owned() });
    /// assert_eq!(named.warning, None);
    ///
    /// let misspelled = evaluate(r#"{"batchItemFailure": []}"#);
    /// assert_eq!(misspelled.result, BatchResult::Done);
    /// assert!(misspelled.warning.is_some(), "AWS would take the misspelled response for a success");
    /// ```
    pub fn of(response: Response, event: &str, report_batch_item_failures: bool) -> Self {
        #[derive(Default, Deserialize)]
        struct Windowed<'a> {
            #[serde(borrow, default)]
            window: Option<&'a RawValue>,
        }
        let mut files = RecordFiles::new();
        // An event that is not a stream event has no records here.
        let _ = files.add_events("event", event);
        let windowed: Windowed<'_> = serde_json::from_str(event).unwrap_or_default();
        let rules = ResponseRules { report_batch_item_failures, tumbling_window: windowed.window.is_some() };
        let interpretation = interpret(response, files.records(), rules);
        Self { result: interpretation.result, warning: interpretation.silent_loss.map(|loss| loss.message) }
    }
}

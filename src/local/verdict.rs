//! What a single answer comes to, outside of a run.

use super::answer::{Rules, Verdict, judge};
use super::files::RecordFiles;
use super::target::Answer;

impl Verdict {
    /// What an event source mapping makes of the answer to one event, with the warning that AWS would not give.
    ///
    /// Of an event that is not a stream's, no record can be named. A tumbling window's event is judged with its rules.
    ///
    /// ```
    /// use lambda_streams::local::{Answer, Verdict};
    ///
    /// let event = r#"{"Records": [{"eventSource": "aws:dynamodb", "dynamodb": {"SequenceNumber": "111"}}]}"#;
    /// let answer = |json: &str| Answer::Returned(json.to_owned());
    /// let (verdict, warning) = Verdict::of(answer(r#"{"batchItemFailures": [{"itemIdentifier": "111"}]}"#), event, true);
    /// assert_eq!(verdict, Verdict::Checkpoint { position: 0, sequence_number: "111".to_owned() });
    /// assert!(warning.is_none());
    ///
    /// let (verdict, warning) = Verdict::of(answer(r#"{"batchItemFailure": []}"#), event, true);
    /// assert_eq!(verdict, Verdict::Done);
    /// assert!(warning.is_some(), "AWS would take the misspelt answer for a success");
    /// ```
    pub fn of(answer: Answer, event: &str, report_batch_item_failures: bool) -> (Self, Option<String>) {
        #[derive(Default, serde::Deserialize)]
        struct Window<'a> {
            #[serde(borrow, default)]
            window: Option<&'a serde_json::value::RawValue>,
        }
        let mut files = RecordFiles::new();
        // An event that is no stream's has no records, which is what is wanted then.
        let _ = files.add_events("event", event);
        let window: Window<'_> = serde_json::from_str(event).unwrap_or_default();
        let rules = Rules { report_batch_item_failures, tumbling_window: window.window.is_some() };
        let judged = judge(answer, files.records(), rules);
        (judged.verdict, judged.warning.map(|(_, message)| message))
    }
}

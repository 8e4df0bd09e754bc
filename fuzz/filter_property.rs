//! What must hold for any filter pattern and any record: for the fuzzer, and for the bounded run in
//! `local/tests/it/any_filter.rs`.

use lambda_streams_local::{EventSourceMapping, Function, InvokeError, MemorySource, Response, Settings};

/// A function that takes everything for done.
struct Done;

impl Function for Done {
    async fn invoke(&self, _: String, _: std::time::Duration) -> Result<Response, InvokeError> {
        Ok(Response::Returned("null".to_owned()))
    }

    fn function_arn(&self) -> String {
        "arn:aws:lambda:us-east-1:123456789012:function:done".to_owned()
    }
}

/// A pattern is compiled or refused with its place; a compiled one decides about any record, the same way each time.
pub(crate) fn filter(pattern: &str, record: &str) {
    let settings =
        |patterns: usize| Settings { filter_patterns: vec![pattern.to_owned(); patterns], ..Settings::default() };
    if let Err(error) = settings(1).validate() {
        assert_eq!(error.setting(), "FilterCriteria");
        return;
    }
    let Ok(source) = MemorySource::new("arn").shard("shard", None, [record]) else { return };
    let passes = |settings| {
        let mapping = EventSourceMapping::new(settings, source.clone(), Done).expect("the pattern was compiled before");
        let summary = runtime().block_on(mapping.run(std::future::pending())).expect("nothing can fail");
        assert_eq!(summary.done + summary.filtered, 1);
        summary.done == 1
    };
    assert_eq!(passes(settings(1)), passes(settings(2)), "a pattern ored with itself");
    assert!(passes(settings(0)), "no pattern keeps every record");
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime can be made")
}

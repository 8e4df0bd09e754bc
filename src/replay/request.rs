//! What a command asks of the function, by the first member of its event: `{"lambdaStreams":{…},"Records":[…]}`.
//!
//! Invariant: what is not understood is refused. A request of a newer command may ask for something that must not be left out.

use serde::Deserialize;

use crate::error::Error;
use crate::event;
use crate::failure::{MAX_MESSAGE, bounded};
use crate::idempotency::Stale;
use crate::invocation::Origin;

/// What a command asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Request {
    origin: RequestOrigin,
    stale: Option<RequestStale>,
    answer: Option<Answer>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum RequestOrigin {
    Replay,
    Backfill,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum RequestStale {
    Process,
    Skip,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Answer {
    List,
}

impl Request {
    /// Of an on-failure document, which asks for nothing.
    pub(crate) const OF_DOCUMENT: Self = Self { origin: RequestOrigin::Replay, stale: None, answer: None };

    /// Reads the request of an event that a command has made.
    ///
    /// # Errors
    /// If it is not understood, or a processor that keeps marks or none cannot do it.
    pub(crate) fn read(text: &str, has_marks: bool) -> Result<Self, Error> {
        let Some(json) = event::command_of(text) else { return Err(Error::not_json("it ends before it is an event")) };
        // The rest of the event is read when its records are.
        let read = serde_json::Deserializer::from_str(json).into_iter::<Self>().next();
        let request = match read {
            Some(Ok(request)) => request,
            Some(Err(error)) if error.is_data() => return Err(not_understood(&error)),
            Some(Err(error)) => return Err(Error::not_json(error)),
            None => return Err(Error::not_json("it ends before it is an event")),
        };
        request.check(has_marks)?;
        Ok(request)
    }

    fn check(&self, has_marks: bool) -> Result<(), Error> {
        let refuse = |message| Err(Error::way_back(message, None));
        match (self.origin, self.stale) {
            (RequestOrigin::Backfill, Some(RequestStale::Skip)) => refuse(
                "the backfill is to skip stale items, but an item of a table has no sequence number that a mark could be compared with: \
                 use `--compare-with-table` or `--skip-changed-since`, or leave `--stale skip` out",
            ),
            (RequestOrigin::Replay, Some(RequestStale::Skip)) if !has_marks => refuse(
                "the replay is to skip stale records, but this function keeps no marks, which decide what is stale: use \
                 `--compare-with-table`, or `--stale process` to process all records",
            ),
            _ => Ok(()),
        }
    }

    pub(crate) fn origin(&self) -> Origin {
        match self.origin {
            RequestOrigin::Replay => Origin::Replay,
            RequestOrigin::Backfill => Origin::Backfill,
        }
    }

    /// What happens to stale records in this invocation, instead of what the processor's settings say.
    pub(crate) fn stale(&self) -> Option<Stale> {
        self.stale.map(|stale| match stale {
            RequestStale::Process => Stale::Process,
            RequestStale::Skip => Stale::Skip,
        })
    }

    /// Whether the answer is a list of the records that are not finished. Otherwise they fail the invocation.
    pub(crate) fn wants_list(&self) -> bool {
        self.answer == Some(Answer::List)
    }
}

fn not_understood(error: &serde_json::Error) -> Error {
    let error = error.to_string();
    // The place is one in the member, which nobody sees.
    let (why, _) = error.split_once(" at line ").unwrap_or((&error, ""));
    Error::way_back(
        format!(
            "`lambdaStreams` of the payload is not understood ({}): the function is built with version {} of lambda-streams, which may be too \
             old for the command; deploy it with a newer one, or use the command of that version",
            bounded(why, MAX_MESSAGE),
            env!("CARGO_PKG_VERSION"),
        ),
        None,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(request: &str) -> Result<Request, String> {
        Request::read(&format!("{{\"lambdaStreams\":{request},\"Records\":[]}}"), true)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_request_is_read_without_the_rest_of_its_event() {
        let text =
            " {\n \"lambdaStreams\" : {\"origin\":\"replay\",\"stale\":\"skip\",\"answer\":\"list\"} and what follows";
        let request = Request::read(text, true).expect("a request");
        assert_eq!(
            (request.origin(), request.stale(), request.wants_list()),
            (Origin::Replay, Some(Stale::Skip), true)
        );
        let request = read(r#"{"origin":"backfill","stale":"process"}"#).expect("a request");
        assert_eq!(
            (request.origin(), request.stale(), request.wants_list()),
            (Origin::Backfill, Some(Stale::Process), false)
        );
        assert_eq!(read(r#"{"origin":"replay"}"#), Ok(Request::OF_DOCUMENT));
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for (request, why) in [
            (r#"{"origin":"rewind"}"#, "unknown variant `rewind`, expected `replay` or `backfill`"),
            (r#"{"origin":"replay","stale":"forget"}"#, "unknown variant `forget`, expected `process` or `skip`"),
            (r#"{"origin":"replay","answer":"all"}"#, "unknown variant `all`, expected `list`"),
            (r#"{"origin":"replay","until":7}"#, "unknown field `until`, expected one of `origin`, `stale`, `answer`"),
            ("{}", "missing field `origin`"),
            (r#"{"origin":"replay","origin":"replay"}"#, "duplicate field `origin`"),
            ("7", "invalid type: integer `7`, expected struct Request"),
        ] {
            let error = read(request).expect_err(request);
            let expected = format!("`lambdaStreams` of the payload is not understood ({why}): the function is built");
            assert!(error.starts_with(&expected), "{error}");
        }
        for broken in ["{", "", "}", r#"{"origin":"replay"]"#] {
            let error = Request::read(&format!("{{\"lambdaStreams\":{broken}"), true).expect_err(broken);
            assert!(error.to_string().starts_with("the payload is not valid JSON"), "{error}");
        }
    }
}

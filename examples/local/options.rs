//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::Failure;

pub(crate) const HELP: &str = "\
Runs the example function's processor on a real stream, on this machine.

Starts a DynamoDB inside this process, creates the documented table with its stream, changes some thousand items, reads
the changes back through the Streams API, and feeds them to the processor in batches, as Lambda's event source mapping
does. It needs no AWS account. At the end a table shows the outcomes of the records.

Usage: cargo run --example local -- [OPTIONS]

Options:
      --items FILE.ndjson   your own items, one a line: plain JSON, DynamoDB JSON, or an export's {\"Item\": {...}};
                            each with `id` (text) and `timestamp` (number) [default: 1500 generated items]
      --endpoint-url URL    a DynamoDB that is already there; the table gets a name of its own, and is deleted at the
                            end. Region and credentials come from AWS_REGION, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY
                            and AWS_SESSION_TOKEN
      --dead-letters FILE   where dead letters go [default: target/local/dead-letters.ndjson]
  -h, --help                this text

Exit code: 0 if every record was processed in order, 1 if not, 2 if the run could not start.
";

/// What a user asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) items: Option<PathBuf>,
    pub(crate) endpoint_url: Option<String>,
    pub(crate) dead_letters: PathBuf,
}

impl Options {
    /// Reads the arguments; `None` if they ask for help.
    pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Option<Self>, Failure> {
        use lexopt::prelude::{Long, Short};
        let mut options = Self { items: None, endpoint_url: None, dead_letters: default_dead_letters() };
        let mut parser = lexopt::Parser::from_iter(arguments);
        let bad = |error: lexopt::Error| Failure::setup(format!("{error}; see --help"));
        while let Some(argument) = parser.next().map_err(bad)? {
            match argument {
                Long("items") => options.items = Some(parser.value().map_err(bad)?.into()),
                Long("endpoint-url") => options.endpoint_url = Some(url(parser.value().map_err(bad)?)?),
                Long("dead-letters") => options.dead_letters = parser.value().map_err(bad)?.into(),
                Long("help") | Short('h') => return Ok(None),
                other => return Err(bad(other.unexpected())),
            }
        }
        Ok(Some(options))
    }
}

fn url(argument: OsString) -> Result<String, Failure> {
    let text = argument.to_string_lossy().into_owned();
    let host = ["http://", "https://"].iter().find_map(|scheme| text.strip_prefix(scheme)).unwrap_or_default();
    if host.is_empty() || host.starts_with(['/', ':']) || host.contains(char::is_whitespace) {
        return Err(Failure::setup(format!("--endpoint-url {text:?} is not a URL such as http://localhost:8000")));
    }
    Ok(text)
}

/// Below the workspace's own `target`, wherever `cargo run` was called: this example's package is a folder of it.
fn default_dead_letters() -> PathBuf {
    let package = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from).unwrap_or_default();
    package.parent().unwrap_or(&package).join("target/local/dead-letters.ndjson")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<Option<Options>, String> {
        let arguments = ["local"].iter().chain(arguments).map(OsString::from);
        Options::parse(arguments).map_err(|failure| failure.to_string())
    }

    #[test]
    fn the_documented_options_are_read() {
        let options = parse(&["--items", "a.ndjson", "--endpoint-url=http://localhost:8000", "--dead-letters", "b"]);
        let expected = Options {
            items: Some("a.ndjson".into()),
            endpoint_url: Some("http://localhost:8000".to_owned()),
            dead_letters: "b".into(),
        };
        assert_eq!(options, Ok(Some(expected)));
        assert_eq!(parse(&["-h"]), Ok(None));
        assert_eq!(parse(&["--items", "x", "--help"]), Ok(None));
    }

    #[test]
    fn bad_arguments_get_one_line_that_names_them() {
        let table = [
            (&["--item", "x"][..], "--item"),
            (&["--items"], "--items"),
            (&["items.ndjson"], "items.ndjson"),
            (&["--endpoint-url", "localhost:8000"], "localhost:8000"),
            (&["--endpoint-url", "http://"], "http://"),
        ];
        for (arguments, named) in table {
            let message = parse(arguments).expect_err("it is not a valid argument");
            assert!(message.contains(named) && !message.contains('\n'), "{message}");
        }
    }
}

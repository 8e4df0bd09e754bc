//! The compiler's words for the mistakes that are most often made with handlers, kept in files.
//!
//! What a compiler says changes from version to version, so it is compared on the version that the workspace names as its
//! `rust-version`, and on no other. `TRYBUILD=overwrite` writes the files again: read what changed as somebody who is new to the crate.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;

/// The version that the files in `cases` are of.
const VERSION: &str = env!("CARGO_PKG_RUST_VERSION");

/// What the compiler calls itself.
fn compiler() -> String {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).arg("--version").output().expect("there is a compiler, which has built this test");
    String::from_utf8(output.stdout).expect("a version is text")
}

#[test]
fn the_words_for_mistakes_are_known() {
    let compiler = compiler();
    if !compiler.starts_with(&format!("rustc {VERSION}.")) || compiler.contains("nightly") {
        // Not `println`, which shows nothing of a test that succeeds.
        let skipped =
            format!("skipped: the files in tests/compile/cases are of Rust {VERSION}, and this is {compiler}");
        std::io::stderr().write_all(skipped.as_bytes()).expect("standard error is open");
        return;
    }
    trybuild::TestCases::new().compile_fail("cases/*.rs");
}

/// The table in the guide quotes the compiler, with `…` for what is between.
#[test]
fn the_docs_quote_what_the_compiler_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files =
        fs::read_dir(folder.join("cases")).expect("the cases are here").map(|file| file.expect("an entry").path());
    let said: Vec<String> = files
        .filter(|file| file.extension().is_some_and(|extension| extension == "stderr"))
        .map(|file| fs::read_to_string(file).expect("readable"))
        .collect();
    let docs = fs::read_to_string(folder.join("../../src/docs/faq.md")).expect("readable");
    let (_, section) = docs.split_once("# When a handler does not compile").expect("the section is there");
    let rows = section.lines().skip_while(|line| !line.starts_with("|---")).skip(1);
    let quotes: Vec<&str> =
        rows.map_while(|line| line.strip_prefix("| ")).filter_map(|row| row.split(" | ").next()).collect();
    assert!(quotes.len() > 5, "{quotes:?}");
    for quote in quotes {
        let parts: Vec<&str> = quote.split(" … ").map(|part| part.trim_matches('`')).collect();
        let is_said =
            said.iter().any(|said| parts.iter().all(|part| said.replace('`', "").contains(&part.replace('`', ""))));
        assert!(is_said, "no case says {quote}");
    }
}

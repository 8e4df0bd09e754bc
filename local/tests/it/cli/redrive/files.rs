//! Letters of files, which are never changed.

use super::*;

/// A file with these letters, a line each.
fn file(name: &str, letters: &[String]) -> String {
    let path = free_path(name);
    std::fs::write(&path, letters.join("\n")).expect("it can be written");
    path.into_os_string().into_string().expect("UTF-8")
}

async fn redrive(name: &str, flags: &[&str], fails: &str) -> (Ran, Vec<Vec<String>>) {
    let path = free_path(&format!("redrive-{name}-calls"));
    let mut command = program();
    command.arg("redrive").args(flags).args(["--bootstrap", "python3", "--", FUNCTION]);
    command.env("CALLS", &path).env("FAILS", fails);
    let ran = command.output().await.expect("the program can be started").into();
    (ran, calls(&path))
}

#[tokio::test]
async fn a_run_goes_on_where_the_last_one_stopped() {
    let letters: Vec<String> = shuffled(12).chain(shuffled(1)).collect();
    let (letters, journal) = (file("letters", &letters), free_path("letters-journal"));
    let before = std::fs::read(&letters).expect("it is there");
    let flags = [&letters, "--journal", journal.to_str().expect("UTF-8"), "--attempts", "1", "--batch-size", "4"];

    let (ran, calls) = redrive("files-1", &flags, "e4").await;
    assert_eq!(ran.code, Some(1), "{}{}", ran.stdout, ran.stderr);
    assert!(
        ran.stdout.starts_with("12 dead letters: 9 done, 1 failed, 2 held back, 0 left\n"),
        "a copy counts once: {}",
        ran.stdout
    );
    assert!(ran.stdout.contains("  failed  event e4, sequence 4: handler: the index is down"), "{}", ran.stdout);
    assert_eq!(calls.concat().len(), 10, "7 and 10 are of its item: {calls:?}");

    let (ran, calls) = redrive("files-2", &flags, "").await;
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    assert_eq!(calls.concat(), ["e4", "e7", "e10"]);
    assert!(ran.stderr.contains("note: 9 dead letters done by an earlier run"), "{}", ran.stderr);
    assert!(!journal.exists(), "nothing is left");
    assert_eq!(std::fs::read(&letters).expect("it is there"), before);
}

#[tokio::test]
async fn the_output_of_receive_message_and_the_standard_input_are_files_too() {
    let messages: Vec<Value> =
        shuffled(3).enumerate().map(|(id, body)| json!({"MessageId": format!("m{id}"), "Body": body})).collect();
    let text = json!({"Messages": messages}).to_string();
    let path = file("received", &[text]);
    let calls_path = free_path("redrive-stdin-calls");
    let mut command = program();
    command.args(["redrive", "-", "--bootstrap", "python3", "--", FUNCTION]).env("CALLS", &calls_path);
    command.env("XDG_STATE_HOME", free_path("redrive-stdin-state"));
    command.stdin(std::fs::File::open(&path).expect("it is there"));
    let ran: Ran = command.output().await.expect("it starts").into();
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    assert_eq!(calls(&calls_path), [["e1", "e2", "e3"]]);
}

#[tokio::test]
async fn a_dry_run_of_a_file_lists_it() {
    let letters = file("listed", &[letter(2, "secret"), "{torn".to_owned(), letter(1, "secret")]);
    let ran = run(&["redrive", &letters, "--dry-run"]).await;
    assert_eq!(ran.code, Some(1), "something would be left: {}", ran.stderr);
    assert!(
        ran.stdout.contains("\n2 dead letters: 1 decode, 1 handler\nnot dead letters, left where they are: 1\n"),
        "{}",
        ran.stdout
    );
    assert!(ran.stdout.contains("document 2: not valid JSON at line 2\n"), "{}", ran.stdout);
    assert!(!ran.stdout.contains("secret"));
}

#[tokio::test]
async fn a_file_without_letters_begins_nothing() {
    for (text, expected) in [
        ("", ": it is empty"),
        ("{}", "there is no dead letter: "),
        ("{", "it ends in the middle of a document, which begins at line 1"),
    ] {
        let path = file("none", &[text.to_owned()]);
        let ran = run(&["redrive", &path, "--bootstrap", "x"]).await;
        assert_eq!((ran.code, ran.stderr.lines().count()), (Some(2), 1), "{}", ran.stderr);
        assert!(ran.stderr.contains(expected), "{}", ran.stderr);
    }
}

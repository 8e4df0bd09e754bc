//! Several letters of one record: one is sent, and what comes of it holds for all.

use super::*;

/// A letter of the same record as `letter(number, item)`, given up `second` seconds later.
fn copy(number: u64, item: &str, second: u64) -> String {
    letter(number, item).replace("00:00:01.000Z", &format!("00:00:{:02}.000Z", 1 + second))
}

/// Three letters of event e1, and a later one of its item.
fn copies() -> Vec<String> {
    vec![copy(1, "a", 2), letter(1, "a"), copy(1, "a", 1), letter(4, "a")]
}

#[tokio::test]
async fn copies_are_sent_once_and_deleted_together() {
    let server = FakeServer::start(copies()).await;
    let ended = Redrive::new("copies", &server, &[]).run().await;
    assert_eq!(ended.ran.code, Some(0), "{}{}", ended.ran.stdout, ended.ran.stderr);
    assert_eq!((ended.calls, ended.left.len()), (vec![vec!["e1".to_owned(), "e4".to_owned()]], 0));
    let expected = "2 dead letters: 2 done, 0 failed, 0 held back, 0 left\n\
        in addition, 2 letters of the same records, which are not sent: 2 done with them, 0 left\n";
    assert!(ended.ran.stdout.starts_with(expected), "{}", ended.ran.stdout);
}

#[tokio::test]
async fn copies_of_a_letter_that_fails_stay_with_it() {
    let server = FakeServer::start(copies()).await;
    let ended = Redrive::new("copies-fail", &server, &["--attempts", "1"]).env("FAILS", "e1").run().await;
    assert_eq!(ended.ran.code, Some(1), "{}{}", ended.ran.stdout, ended.ran.stderr);
    assert_eq!(ended.left, ["e1", "e1", "e1"], "{}", ended.ran.stdout);
    for expected in [
        "2 dead letters: 1 done, 1 failed, 0 held back, 0 left\n",
        "in addition, 2 letters of the same records, which are not sent: 0 done with them, 2 left\n",
    ] {
        assert!(ended.ran.stdout.contains(expected), "{expected}: {}", ended.ran.stdout);
    }
}

#[tokio::test]
async fn a_copy_that_comes_after_its_record_is_done_is_deleted_without_being_sent() {
    let server = FakeServer::start([]).await;
    // A group in flight gives no more, so the copy comes in a later round.
    for number in 1..=10 {
        server.send(letter(number, "a"), Some("a"));
    }
    server.send(copy(1, "a", 1), Some("a"));
    let queue = server.url("dead-letters.fifo");
    let ended = Redrive::of("copies-later", &server, &["--queue", &queue]).run().await;
    assert_eq!(ended.ran.code, Some(0), "{}{}", ended.ran.stdout, ended.ran.stderr);
    assert_eq!((ended.calls.concat().len(), ended.left.len()), (10, 0), "{:?}", ended.calls);
    assert!(server.calls("DeleteMessageBatch").len() > 1, "the copy is deleted on its own");
    assert!(ended.ran.stdout.contains("1 done with them, 0 left\n"), "{}", ended.ran.stdout);
}

#[tokio::test]
async fn a_dry_run_tells_copies_from_letters() {
    let server = FakeServer::start(copies()).await;
    let ran = run(&["redrive", "--queue", &server.url("dead-letters"), "--dry-run"]).await;
    assert_eq!((ran.code, left(&server).len()), (Some(0), 4), "{}", ran.stderr);
    let expected =
        "2 dead letters: 1 decode, 1 handler\nin addition, 2 letters of the same records, which would not be sent\n";
    assert!(ran.stdout.contains(expected), "{}", ran.stdout);
}

#[tokio::test]
async fn copies_in_a_file_are_sent_once_and_the_journal_has_all_of_them() {
    let (file, journal, path) = (free_path("copies"), free_path("copies-journal"), free_path("copies-calls"));
    let run = async |letters: &[String], fails: &str| -> Ran {
        std::fs::write(&file, letters.join("\n")).expect("it can be written");
        let mut command = program();
        command.arg("redrive").arg(&file).arg("--journal").arg(&journal);
        command.args(["--attempts", "1", "--bootstrap", "python3", "--", FUNCTION]);
        command.env("CALLS", &path).env("FAILS", fails).output().await.expect("it starts").into()
    };
    let letters = [&copies()[..], &[letter(2, "b")]].concat();
    let ran = run(&letters, "e2").await;
    assert_eq!((ran.code, calls(&path).concat()), (Some(1), ["e1", "e2", "e4"].map(str::to_owned).into()));
    assert!(ran.stdout.contains("2 done with them, 0 left\n"), "{}", ran.stdout);
    let ran = run(&letters, "").await;
    assert!(ran.stderr.contains("note: 4 dead letters done by an earlier run"), "{}", ran.stderr);
    assert_eq!((ran.code, calls(&path).concat().len()), (Some(0), 4), "{}{}", ran.stdout, ran.stderr);
}

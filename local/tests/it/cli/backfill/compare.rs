//! The checks before the act: `--compare-with-table` and `--skip-changed-since`.

use serde_json::json;

use super::{Bench, got};
use crate::cli::{Ran, free_path};

/// An export of the bench's table, as a folder with one file.
fn export(name: &str, lines: &[serde_json::Value]) -> String {
    let folder = free_path(name);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).expect("it can be made");
    let lines: String = lines.iter().map(|line| format!("{line}\n")).collect();
    std::fs::write(folder.join("data.json"), lines).expect("it can be written");
    folder.into_os_string().into_string().expect("UTF-8")
}

fn exported(number: usize, n: &str) -> serde_json::Value {
    json!({"Item": {"id": {"S": format!("order-{number:04}")}, "timestamp": {"N": "1.0"}, "n": {"N": n}}})
}

async fn backfill(bench: &Bench, export: &str, arguments: &[&str]) -> Ran {
    bench.run(&[&["--export", export], arguments].concat(), "").await
}

#[tokio::test]
async fn what_the_table_has_moved_on_from_is_left_out() {
    let bench = Bench::new("compare", 250).await;
    let mut lines: Vec<serde_json::Value> = (0..250).map(|number| exported(number, &format!("{number}.0"))).collect();
    lines[7] = exported(7, "70");
    lines.push(exported(900, "900"));
    let removed = |number| json!({"Keys": {"id": {"S": format!("order-{number:04}")}, "timestamp": {"N": "1"}}});
    lines.extend([removed(901), removed(8)]);
    let export = export("backfill-compare-export", &lines);
    let ran = backfill(&bench, &export, &["--compare-with-table"]).await;
    assert_eq!(ran.code, Some(0), "{}{}", ran.stderr, ran.stdout);
    assert!(ran.stdout.contains("250 items: 250 done"), "{}", ran.stdout);
    assert!(ran.stdout.contains("the stream delivers a newer image or the item was removed: 3"), "{}", ran.stdout);
    let got = got(&bench.sink);
    assert_eq!(got.len(), 250, "numbers are equal by their value");
    assert!(!got.contains_key("order-0007"), "the table has another one");
    assert!(!got.contains_key("order-0900"), "the table has none");
    assert_eq!(got["order-0901"][0]["record"]["eventName"], "REMOVE", "it is not there");
    assert_eq!(got["order-0008"].len(), 1, "the item, and not its removal, as it is there");
    assert_eq!(got["order-0008"][0]["record"]["eventName"], "INSERT");
}

#[tokio::test]
async fn what_the_stream_has_changed_since_is_left_out() {
    let bench = Bench::new("since", 10).await;
    let lines: Vec<serde_json::Value> = (0..12).map(|number| exported(number, "1")).collect();
    let export = export("backfill-since-export", &lines);
    // What `Bench` has put is in the stream as well; two items of the export are not.
    let since = humantime::format_rfc3339(std::time::SystemTime::now() - std::time::Duration::from_secs(3_600));
    let ran = backfill(&bench, &export, &["--skip-changed-since", &since.to_string()]).await;
    assert_eq!(ran.code, Some(0), "{}{}", ran.stderr, ran.stdout);
    assert_eq!(got(&bench.sink).keys().collect::<Vec<_>>(), ["order-0010", "order-0011"]);
    assert!(ran.stdout.contains("the stream delivers a newer image or the item was removed: 10"), "{}", ran.stdout);
}

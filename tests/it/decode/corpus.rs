//! The images and keys of the corpus of event files, if there is one.

use std::fs;
use std::path::{Path, PathBuf};

use lambda_streams::{from_image, from_keys};
use serde_dynamo::{Item, from_item};
use serde_json::Value;

use super::types::Any;

fn folder(name: &str) -> Option<Vec<PathBuf>> {
    let neighbour = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus");
    let corpus = std::env::var_os("TEST_CORPUS").map_or_else(neighbour, PathBuf::from);
    let Ok(entries) = fs::read_dir(corpus.join(name)) else {
        println!("no corpus at {}: nothing was checked", corpus.display());
        return None;
    };
    Some(entries.map(|entry| entry.expect("the corpus is readable").path()).collect())
}

/// The images and keys of a file's records, as text; empty if the file is not such an event.
fn parts(file: &Path, names: &[&str]) -> Vec<String> {
    let bytes = fs::read(file).expect("the corpus is readable");
    let Ok(event) = serde_json::from_slice::<Value>(&bytes) else { return Vec::new() };
    let records = event.get("Records").and_then(Value::as_array).into_iter().flatten();
    let of = |record: &Value| {
        let of = |name: &&str| record.get("dynamodb")?.get(*name).map(Value::to_string);
        names.iter().filter_map(of).collect::<Vec<_>>()
    };
    records.flat_map(of).collect()
}

#[test]
fn corpus_images_decode_as_in_serde_dynamo() {
    let mut images = 0;
    for file in [folder("real"), folder("edge")].into_iter().flatten().flatten() {
        for image in parts(&file, &["NewImage", "OldImage", "Keys"]) {
            let Ok(item) = serde_json::from_str::<Item>(&image) else { continue };
            let theirs = from_item::<_, Any>(item).expect("any item is anything");
            assert_eq!(from_image(&image), Ok(theirs), "{}", file.display());
            images += 1;
        }
    }
    println!("{images} images");
    assert!(images > 1_000 || folder("real").is_none());
}

#[test]
fn a_malformed_image_leaves_its_neighbours_readable() {
    for file in folder("bad").into_iter().flatten() {
        let name = file.file_name().expect("a file").to_string_lossy().into_owned();
        if !name.starts_with("attr-") {
            continue;
        }
        let images = parts(&file, &["NewImage"]);
        assert_eq!(images.len(), 3, "{name}");
        let malformed: Vec<_> =
            images.iter().map(|image| from_image::<Any>(image).is_err_and(|error| error.is_malformed())).collect();
        // DynamoDB would not store these two, but they can be read without loss.
        let readable = ["attr-n-1e126.json", "attr-ss-empty.json"].contains(&name.as_str());
        assert_eq!(malformed, [false, !readable, false], "{name}");
    }
    for name in ["keys-empty.json", "keys-non-scalar.json"] {
        for file in folder("bad").into_iter().flatten().filter(|file| file.ends_with(name)) {
            let keys = parts(&file, &["Keys"]);
            assert_eq!(keys.iter().filter(|keys| from_keys::<Any>(keys).is_err()).count(), 1, "{name}");
        }
    }
}

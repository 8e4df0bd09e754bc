//! An export of a table to S3, full or incremental, as DynamoDB writes it: manifests, and gzipped lines of DynamoDB JSON.
//!
//! *Invariant*: nothing of a data file is sent before all of it was decompressed and counted once, so that a file that is
//! corrupt or was cut sends nothing.

use std::collections::{BTreeMap, HashSet};
use std::io::{BufRead, BufReader, Cursor, Read};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use flate2::bufread::MultiGzDecoder;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::files::Files;
use super::record::{Change, Kind};
use crate::failure::Failure;

/// What the manifest of the data files is called.
const MANIFEST: &str = "manifest-files.json";
/// More than two images of the largest item take as JSON, however they are escaped.
const MAX_LINE: u64 = 16 * 1024 * 1024;

/// What is known of an export before its data is read. Without a manifest, nothing tells whether these are all files.
#[derive(Debug)]
pub(crate) struct Export {
    pub(crate) files: Vec<DataFile>,
    pub(crate) summary: Summary,
}

/// A file of lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DataFile {
    /// The name by which it is read.
    pub(crate) name: String,
    /// How many lines it has, if a manifest says so.
    pub(crate) items: Option<u64>,
}

/// `manifest-summary.json`, as far as it matters here.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Summary {
    pub(crate) table_arn: Option<String>,
    output_format: Option<String>,
    /// `NEW_AND_OLD_IMAGES` or `NEW_IMAGE`, of an incremental export.
    output_view: Option<String>,
}

/// A line of [`MANIFEST`].
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    item_count: u64,
    #[serde(rename = "dataFileS3Key")]
    key: String,
}

impl Export {
    /// Finds the export that is there.
    ///
    /// # Errors
    /// If there is none, or several, or one in Amazon Ion; if a data file is missing; if a manifest cannot be read.
    pub(crate) async fn find(files: &impl Files) -> Result<Self, Failure> {
        let names = files.list().await?;
        let manifests: Vec<&String> = names.iter().filter(|name| file_name(name) == MANIFEST).collect();
        match manifests.as_slice() {
            [] => Self::without_manifest(files, &names),
            [manifest] => Self::of_manifest(files, &names, manifest).await,
            several => {
                let some: Vec<&str> = several.iter().take(5).map(|name| folder(name)).collect();
                Err(Failure::not_begun(format!(
                    "{} has {} exports, choose one: {}",
                    files.describe(""),
                    several.len(),
                    some.join(", ")
                )))
            }
        }
    }

    /// Data files alone, as somebody has copied them.
    fn without_manifest(files: &impl Files, names: &[String]) -> Result<Self, Failure> {
        let is_data = |name: &&String| {
            let name = file_name(name);
            (name.ends_with(".json.gz") || name.ends_with(".json")) && !name.starts_with("manifest-")
        };
        let mut data: Vec<DataFile> =
            names.iter().filter(is_data).map(|name| DataFile { name: name.clone(), items: None }).collect();
        if data.is_empty() {
            let why = if names.iter().any(|name| file_name(name) == "_started") {
                "the export that was begun there has not ended"
            } else if names.iter().any(|name| name.ends_with(".ion.gz") || name.ends_with(".ion")) {
                "it is in Amazon Ion: export the table in DynamoDB JSON"
            } else {
                "there is neither manifest-files.json nor a data file (.json.gz, .json)"
            };
            return Err(Failure::not_begun(format!("{}: {why}", files.describe(""))));
        }
        data.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(Self { files: data, summary: Summary::default() })
    }

    async fn of_manifest(files: &impl Files, names: &[String], manifest: &str) -> Result<Self, Failure> {
        let own_folder = folder(manifest);
        let there: HashSet<&str> = names.iter().map(String::as_str).collect();
        let summary = join(own_folder, "manifest-summary.json");
        let summary: Summary = if there.contains(summary.as_str()) {
            let text = files.read(&summary).await?;
            serde_json::from_slice(&text)
                .map_err(|error| Failure::not_begun(format!("{}: {error}", files.describe(&summary))))?
        } else {
            Summary::default()
        };
        if let Some(format) = summary.output_format.as_deref().filter(|format| *format != "DYNAMODB_JSON") {
            let what = files.describe(own_folder);
            return Err(Failure::not_begun(format!("{what} is in {format}: export the table in DynamoDB JSON")));
        }
        let text = files.read(manifest).await?;
        let refuse = |why: String| Failure::not_begun(format!("{}: {why}", files.describe(manifest)));
        let mut data = Vec::new();
        for (number, line) in
            text.split(|byte| *byte == b'\n').enumerate().filter(|(_, line)| !line.trim_ascii().is_empty())
        {
            let listed: Listed =
                serde_json::from_slice(line).map_err(|error| refuse(format!("line {}: {error}", number + 1)))?;
            // An incremental export has its data beside its folder, for all exports of the table.
            let own = join(own_folder, &format!("data/{}", file_name(&listed.key)));
            let shared = join(folder(own_folder), &format!("data/{}", file_name(&listed.key)));
            let name = [own, shared].into_iter().find(|name| there.contains(name.as_str()));
            let name = match name {
                Some(name) => name,
                None => files.outside(own_folder, &listed.key).await.ok_or_else(|| {
                    refuse(format!("the data file {} is missing: copy the folder `data` as well", listed.key))
                })?,
            };
            data.push(DataFile { name, items: Some(listed.item_count) });
        }
        Ok(Self { files: data, summary })
    }

    /// How many items there are, if a manifest says so.
    pub(crate) fn items(&self) -> Option<u64> {
        self.files.iter().map(|file| file.items).sum()
    }

    /// The images that its records can have.
    pub(crate) fn view_type(&self) -> &'static str {
        match self.summary.output_view.as_deref() {
            Some("NEW_IMAGE") => "NEW_IMAGE",
            _ => "NEW_AND_OLD_IMAGES",
        }
    }
}

/// The lines of a data file, whether it is compressed or not. An error ends them.
fn lines(bytes: Arc<[u8]>) -> impl Iterator<Item = Result<Vec<u8>, String>> + Send {
    const GZIP: [u8; 2] = [0x1f, 0x8b];
    let is_gzip = bytes.starts_with(&GZIP);
    let bytes = Cursor::new(bytes);
    let mut reader: Box<dyn BufRead + Send> = match is_gzip {
        true => Box::new(BufReader::new(MultiGzDecoder::new(bytes))),
        false => Box::new(bytes),
    };
    let mut has_failed = false;
    std::iter::from_fn(move || {
        while !has_failed {
            let mut line = Vec::new();
            match (&mut reader).take(MAX_LINE).read_until(b'\n', &mut line) {
                Ok(0) => return None,
                Ok(_) if line.trim_ascii().is_empty() => {}
                Ok(read) if (read as u64) < MAX_LINE => return Some(Ok(line)),
                Ok(_) => {
                    has_failed = true;
                    return Some(Err("a line is longer than an item can be".to_owned()));
                }
                Err(error) => {
                    has_failed = true;
                    return Some(Err(error.to_string()));
                }
            }
        }
        None
    })
}

/// Reads all of a data file once, and gives its lines if it is whole.
///
/// # Errors
/// If it is corrupt or was cut. The error does not name the file.
pub(crate) fn whole_lines(
    file: &DataFile,
    bytes: &Arc<[u8]>,
) -> Result<impl Iterator<Item = Vec<u8>> + Send + use<>, String> {
    let mut count = 0;
    for line in lines(Arc::clone(bytes)) {
        line.map_err(|error| format!("it is corrupt or was cut, after line {count}: {error}"))?;
        count += 1;
    }
    match file.items {
        Some(items) if items != count => {
            Err(format!("it has {count} lines and the manifest says {items}: it was cut, or is another file"))
        }
        _ => Ok(lines(Arc::clone(bytes)).map_while(Result::ok)),
    }
}

/// The change that a line tells of.
///
/// `keys` are the names of the key attributes, which a full export does not tell.
///
/// # Errors
/// If it is not a line of an export, or lacks a key. The error has nothing of the item.
pub(crate) fn change(line: &[u8], keys: &[String], view_type: &'static str) -> Result<Change, String> {
    #[derive(Deserialize)]
    struct Line<'a> {
        #[serde(borrow, rename = "Item")]
        item: Option<BTreeMap<String, &'a RawValue>>,
        #[serde(rename = "Metadata")]
        metadata: Option<Metadata>,
        #[serde(borrow, rename = "Keys")]
        keys: Option<&'a RawValue>,
        #[serde(borrow, rename = "NewImage")]
        new_image: Option<&'a RawValue>,
        #[serde(borrow, rename = "OldImage")]
        old_image: Option<&'a RawValue>,
    }
    let line: Line<'_> =
        serde_json::from_slice(line).map_err(|error| format!("it is not a line of an export ({})", place(&error)))?;
    if let Some(item) = line.item {
        return inserted(&item, keys);
    }
    let own_keys = line.keys.ok_or("it has neither `Item` nor `Keys`: it is not a line of an export")?;
    let kind = match (line.new_image, line.old_image) {
        (Some(_), Some(_)) => Kind::Modify,
        (Some(_), None) => Kind::Insert,
        (None, _) => Kind::Remove,
    };
    Ok(Change {
        kind,
        keys: own_keys.to_owned(),
        new_image: line.new_image.map(ToOwned::to_owned),
        old_image: line.old_image.map(ToOwned::to_owned),
        at: line.metadata.and_then(|metadata| metadata.at()),
        view_type,
    })
}

/// The INSERT of an item that is there.
pub(crate) fn inserted(item: &BTreeMap<String, &RawValue>, keys: &[String]) -> Result<Change, String> {
    let mut own_keys = BTreeMap::new();
    for key in keys {
        let value = item.get(key).ok_or_else(|| format!("its item has no key attribute `{key}`"))?;
        own_keys.insert(key, value);
    }
    let raw = |value: serde_json::Result<Box<RawValue>>| value.map_err(|error| error.to_string());
    Ok(Change {
        kind: Kind::Insert,
        keys: raw(serde_json::value::to_raw_value(&own_keys))?,
        new_image: Some(raw(serde_json::value::to_raw_value(item))?),
        old_image: None,
        at: None,
        view_type: "NEW_AND_OLD_IMAGES",
    })
}

#[derive(Deserialize)]
struct Metadata {
    #[serde(rename = "WriteTimestampMicros")]
    at: Option<Micros>,
}

/// DynamoDB JSON in the files; the documentation shows the number's text alone.
#[derive(Deserialize)]
#[serde(untagged)]
enum Micros {
    Tagged {
        #[serde(rename = "N")]
        number: String,
    },
    Text(String),
    Number(u64),
}

impl Metadata {
    fn at(self) -> Option<SystemTime> {
        let micros = match self.at? {
            Micros::Tagged { number } | Micros::Text(number) => number.parse().ok()?,
            Micros::Number(number) => number,
        };
        UNIX_EPOCH.checked_add(Duration::from_micros(micros))
    }
}

/// Where reading JSON failed: the error itself may quote the data.
fn place(error: &serde_json::Error) -> String {
    let what = match error.classify() {
        serde_json::error::Category::Data => "of another shape",
        _ => "not valid JSON",
    };
    format!("{what}, column {}", error.column())
}

fn file_name(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

/// The folder in which a file or a folder is; empty at the top.
fn folder(name: &str) -> &str {
    name.rsplit_once('/').map_or("", |(folder, _)| folder)
}

fn join(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use serde_json::{Value, json};

    use super::*;

    /// The files of a test, in memory.
    struct Memory(BTreeMap<&'static str, Vec<u8>>);

    impl Files for Memory {
        async fn list(&self) -> Result<Vec<String>, Failure> {
            Ok(self.0.keys().map(|name| (*name).to_owned()).collect())
        }

        async fn read(&self, name: &str) -> Result<Vec<u8>, Failure> {
            self.0.get(name).cloned().ok_or_else(|| Failure::failed(format!("{name} is not there")))
        }

        async fn outside(&self, _: &str, _: &str) -> Option<String> {
            None
        }

        fn describe(&self, name: &str) -> String {
            format!("memory/{name}")
        }
    }

    fn gzip(text: &str) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    fn read(items: Option<u64>, bytes: &[u8]) -> Result<Vec<String>, String> {
        let file = DataFile { name: "f".to_owned(), items };
        let lines = whole_lines(&file, &bytes.into())?;
        Ok(lines.map(|line| String::from_utf8(line).unwrap().trim_end().to_owned()).collect())
    }

    fn find(files: &[(&'static str, &str)]) -> Result<Export, String> {
        let files = Memory(files.iter().map(|(name, text)| (*name, text.as_bytes().to_vec())).collect());
        futures::executor::block_on(Export::find(&files)).map_err(|failure| failure.to_string())
    }

    const MANIFEST_LINE: &str =
        r#"{"itemCount":2,"md5Checksum":"x","etag":"y","dataFileS3Key":"p/AWSDynamoDB/01-a/data/one.json.gz"}"#;
    const SUMMARY: &str = r#"{"version":"2023-08-01","tableArn":"arn:aws:dynamodb:eu-central-1:1:table/t",
        "outputFormat":"DYNAMODB_JSON","exportType":"INCREMENTAL_EXPORT","outputView":"NEW_IMAGE","itemCount":2}"#;

    #[test]
    fn a_full_export_is_found_by_its_manifest() {
        let export = find(&[
            ("AWSDynamoDB/01-a/manifest-files.json", MANIFEST_LINE),
            ("AWSDynamoDB/01-a/manifest-summary.json", SUMMARY),
            ("AWSDynamoDB/01-a/data/one.json.gz", ""),
            ("AWSDynamoDB/01-a/data/of-another-export.json.gz", ""),
            ("AWSDynamoDB/01-a/_started", ""),
        ]);
        let export = export.unwrap();
        let name = "AWSDynamoDB/01-a/data/one.json.gz".to_owned();
        assert_eq!(export.files, [DataFile { name, items: Some(2) }]);
        assert_eq!((export.items(), export.view_type()), (Some(2), "NEW_IMAGE"));
        assert_eq!(export.summary.table_arn.as_deref(), Some("arn:aws:dynamodb:eu-central-1:1:table/t"));
    }

    #[test]
    fn an_incremental_export_has_its_data_in_a_shared_folder() {
        let export = find(&[
            ("AWSDynamoDB/01-a/manifest-files.json", MANIFEST_LINE),
            ("AWSDynamoDB/data/one.json.gz", ""),
            ("AWSDynamoDB/data/of-another-export.json.gz", ""),
        ]);
        assert_eq!(export.unwrap().files[0].name, "AWSDynamoDB/data/one.json.gz");
    }

    #[test]
    fn data_files_alone_are_read_in_the_order_of_their_names() {
        let export =
            find(&[("b.json.gz", ""), ("a.json", ""), ("manifest-files.checksum", ""), ("x.txt", "")]).unwrap();
        let names: Vec<&str> = export.files.iter().map(|file| file.name.as_str()).collect();
        assert_eq!((names, export.items()), (vec!["a.json", "b.json.gz"], None));
    }

    #[test]
    fn what_is_not_one_whole_export_is_refused() {
        let ion = r#"{"outputFormat":"ION"}"#;
        let table: [(&[(&str, &str)], &str); 8] = [
            (&[], "memory/: there is neither manifest-files.json nor a data file (.json.gz, .json)"),
            (&[("x/_started", "")], "memory/: the export that was begun there has not ended"),
            (&[("x/a.ion.gz", "")], "memory/: it is in Amazon Ion: export the table in DynamoDB JSON"),
            (
                &[("x/manifest-files.json", MANIFEST_LINE), ("x/manifest-summary.json", ion)],
                "memory/x is in ION: export the table in DynamoDB JSON",
            ),
            (
                &[("x/manifest-files.json", ""), ("y/manifest-files.json", "")],
                "memory/ has 2 exports, choose one: x, y",
            ),
            (
                &[("x/manifest-files.json", MANIFEST_LINE)],
                "memory/x/manifest-files.json: the data file p/AWSDynamoDB/01-a/data/one.json.gz is missing: copy the folder \
                 `data` as well",
            ),
            (
                &[("x/manifest-files.json", "{}")],
                "memory/x/manifest-files.json: line 1: missing field `itemCount` at line 1 column 2",
            ),
            (
                &[("x/manifest-files.json", ""), ("x/manifest-summary.json", "{")],
                "memory/x/manifest-summary.json: EOF while parsing an object at line 1 column 1",
            ),
        ];
        for (files, expected) in table {
            assert_eq!(find(files).expect_err(expected), expected);
        }
    }

    #[test]
    fn a_data_file_may_be_plain_or_compressed_in_several_members() {
        let several = [gzip("a\nb"), gzip("\n\nc\n"), gzip("")].concat();
        for bytes in [b"a\nb\n\nc".to_vec(), gzip("a\nb\nc\n"), several] {
            assert_eq!(read(Some(3), &bytes), Ok(vec!["a".to_owned(), "b".to_owned(), "c".to_owned()]));
        }
        for empty in [Vec::new(), gzip("")] {
            assert_eq!(read(Some(0), &empty), Ok(Vec::new()), "a partition without items");
        }
    }

    #[test]
    fn a_corrupt_or_cut_data_file_gives_no_line() {
        let text: String = (0..500).map(|number| format!("{{\"Item\":{{\"id\":{{\"N\":\"{number}\"}}}}}}\n")).collect();
        let whole = gzip(&text);
        for length in 2..whole.len() {
            let error = read(Some(500), &whole[..length]).expect_err("it was cut");
            assert!(error.starts_with("it is corrupt or was cut, after line "), "{error}");
        }
        let mut corrupt = whole.clone();
        // The sum at the end.
        let sum = corrupt.len() - 6;
        corrupt[sum] ^= 1;
        assert!(
            read(None, &corrupt).expect_err("the sum is wrong").starts_with("it is corrupt or was cut, after line 500")
        );
        let error = read(Some(501), &whole).expect_err("one is missing");
        assert_eq!(error, "it has 500 lines and the manifest says 501: it was cut, or is another file");
        let long = vec![b' '; usize::try_from(MAX_LINE).unwrap()];
        assert!(
            read(None, &[b"x".to_vec(), long].concat()).expect_err("too long").contains("longer than an item can be")
        );
    }

    #[test]
    fn a_line_of_each_form_is_a_change() {
        let keys = ["id".to_owned()];
        let id = json!({"id": {"S": "a"}});
        let (old, new) = (json!({"id": {"S": "a"}, "n": {"N": "1"}}), json!({"id": {"S": "a"}, "n": {"N": "2"}}));
        let micros = json!({"WriteTimestampMicros": {"N": "1680109764000001"}});
        let text = json!({"WriteTimestampMicros": "1680109764000001"});
        let number = json!({"WriteTimestampMicros": 1_680_109_764_000_001_u64});
        let at = Some(UNIX_EPOCH + Duration::from_micros(1_680_109_764_000_001));
        let table = [
            (json!({"Item": new}), Kind::Insert, Some(&new), None, None),
            (json!({"Metadata": micros, "Keys": id, "NewImage": new}), Kind::Insert, Some(&new), None, at),
            (
                json!({"Metadata": text, "Keys": id, "NewImage": new, "OldImage": old}),
                Kind::Modify,
                Some(&new),
                Some(&old),
                at,
            ),
            (json!({"Metadata": number, "Keys": id, "OldImage": old}), Kind::Remove, None, Some(&old), at),
            (json!({"Keys": id}), Kind::Remove, None, None, None),
        ];
        let parse = |image: Option<Box<RawValue>>| image.map(|raw| serde_json::from_str::<Value>(raw.get()).unwrap());
        for (line, kind, new, old, at) in table {
            let change = change(line.to_string().as_bytes(), &keys, "NEW_IMAGE").unwrap();
            assert_eq!((change.kind, change.at), (kind, at), "{line}");
            assert_eq!(parse(Some(change.keys)), Some(id.clone()));
            assert_eq!((parse(change.new_image).as_ref(), parse(change.old_image).as_ref()), (new, old), "{line}");
        }
    }

    #[test]
    fn a_line_that_is_none_is_told_without_its_data() {
        let keys = ["id".to_owned()];
        let table = [
            (r#"{"Item":{"name":{"S":"secret"}}}"#, "its item has no key attribute `id`"),
            (r#"{"name":{"S":"secret"}}"#, "it has neither `Item` nor `Keys`: it is not a line of an export"),
            (r#"{"Item":"secret"}"#, "it is not a line of an export (of another shape, column 16)"),
            (r#"{"Item":{"id":{"S":"secret"#, "it is not a line of an export (not valid JSON, column 26)"),
        ];
        for (line, expected) in table {
            assert_eq!(change(line.as_bytes(), &keys, "NEW_IMAGE").map(|_| ()), Err(expected.to_owned()));
        }
    }
}

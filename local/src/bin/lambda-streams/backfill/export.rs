//! An export of a table to S3, full or incremental, as DynamoDB writes it: manifests, and gzipped lines of DynamoDB JSON.
//!
//! *Invariant*: nothing of a data file is sent before all of it was decompressed and counted once, so a file that is
//! corrupt or was cut sends nothing.

mod data;
mod line;

use std::collections::HashSet;

use serde::Deserialize;

use super::files::Files;
use crate::failure::Failure;

pub(super) use self::data::whole_lines;
pub(super) use self::line::{change, inserted};

/// What the manifest of the data files is called.
const MANIFEST: &str = "manifest-files.json";

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
                    "{} has {} exports. Choose one: {}",
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
                "the export has not finished"
            } else if names.iter().any(|name| name.ends_with(".ion.gz") || name.ends_with(".ion")) {
                "it is in Amazon Ion: export the table in DynamoDB JSON"
            } else {
                "there is no manifest-files.json and no data file (.json.gz, .json)"
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
            let text = files.read(&summary).await.map_err(Failure::not_begun)?;
            serde_json::from_slice(&text)
                .map_err(|error| Failure::not_begun(format!("{}: {error}", files.describe(&summary))))?
        } else {
            Summary::default()
        };
        if let Some(format) = summary.output_format.as_deref().filter(|format| *format != "DYNAMODB_JSON") {
            let what = files.describe(own_folder);
            return Err(Failure::not_begun(format!("{what} is in {format}: export the table in DynamoDB JSON")));
        }
        let text = files.read(manifest).await.map_err(Failure::not_begun)?;
        let refuse = |why: String| Failure::not_begun(format!("{}: {why}", files.describe(manifest)));
        let mut data = Vec::new();
        for (number, line) in
            text.split(|byte| *byte == b'\n').enumerate().filter(|(_, line)| !line.trim_ascii().is_empty())
        {
            let listed: Listed =
                serde_json::from_slice(line).map_err(|error| refuse(format!("line {}: {error}", number + 1)))?;
            // An incremental export has its data in a folder next to its own, shared by all exports of the table.
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
    use std::collections::BTreeMap;

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
            (&[], "memory/: there is no manifest-files.json and no data file (.json.gz, .json)"),
            (&[("x/_started", "")], "memory/: the export has not finished"),
            (&[("x/a.ion.gz", "")], "memory/: it is in Amazon Ion: export the table in DynamoDB JSON"),
            (
                &[("x/manifest-files.json", MANIFEST_LINE), ("x/manifest-summary.json", ion)],
                "memory/x is in ION: export the table in DynamoDB JSON",
            ),
            (
                &[("x/manifest-files.json", ""), ("y/manifest-files.json", "")],
                "memory/ has 2 exports. Choose one: x, y",
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
}

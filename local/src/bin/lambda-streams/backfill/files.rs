//! Where the files of an export are.

use std::path::{Path, PathBuf};

use crate::aws::Aws;
use crate::failure::Failure;
use crate::places::s3::{S3, S3Url};

/// Files by their names, with `/` between folders.
pub(crate) trait Files {
    /// All of them.
    async fn list(&self) -> Result<Vec<String>, Failure>;

    /// The content of one.
    async fn read(&self, name: &str) -> Result<Vec<u8>, Failure>;

    /// The name of a data file that the manifest in `folder` calls by its S3 key and that is not among the listed, if it
    /// may exist anyway.
    async fn outside(&self, folder: &str, key: &str) -> Option<String>;

    /// How messages call a file, or all of them for an empty name.
    fn describe(&self, name: &str) -> String;
}

/// A folder on this machine, or a part of a bucket, as the flag says.
pub(crate) enum Place {
    Folder(Folder),
    Bucket(Bucket),
}

impl Place {
    pub(crate) async fn new(text: &str, aws: &Aws<'_>) -> Result<Self, Failure> {
        match S3Url::parse(text) {
            Some(url) => Ok(Self::Bucket(Bucket { s3: S3::new(aws).await?, url: folder(url) })),
            None if text.starts_with("s3:") => {
                Err(Failure::not_begun(format!("{text} is not a place in a bucket: expected s3://bucket/prefix")))
            }
            None => Ok(Self::Folder(Folder(PathBuf::from(text)))),
        }
    }
}

impl Files for Place {
    async fn list(&self) -> Result<Vec<String>, Failure> {
        match self {
            Self::Folder(folder) => folder.list().await,
            Self::Bucket(bucket) => bucket.list().await,
        }
    }

    async fn read(&self, name: &str) -> Result<Vec<u8>, Failure> {
        match self {
            Self::Folder(folder) => folder.read(name).await,
            Self::Bucket(bucket) => bucket.read(name).await,
        }
    }

    async fn outside(&self, folder: &str, key: &str) -> Option<String> {
        match self {
            Self::Folder(files) => files.outside(folder, key).await,
            Self::Bucket(files) => files.outside(folder, key).await,
        }
    }

    fn describe(&self, name: &str) -> String {
        match self {
            Self::Folder(folder) => folder.describe(name),
            Self::Bucket(bucket) => bucket.describe(name),
        }
    }
}

/// The prefix of whole folders: `…/01` would also be the beginning of `…/012`.
fn folder(mut url: S3Url) -> S3Url {
    if !url.key.is_empty() && !url.key.ends_with('/') {
        url.key.push('/');
    }
    url
}

/// A part of a bucket. Its files are named by their keys.
pub(crate) struct Bucket {
    s3: S3,
    url: S3Url,
}

impl Bucket {
    fn object(&self, key: &str) -> S3Url {
        S3Url { bucket: self.url.bucket.clone(), key: key.to_owned() }
    }
}

impl Files for Bucket {
    async fn list(&self) -> Result<Vec<String>, Failure> {
        let objects = self.s3.list_all(&self.url).await.map_err(Failure::not_begun)?;
        Ok(objects.into_iter().map(|object| object.key).collect())
    }

    async fn read(&self, name: &str) -> Result<Vec<u8>, Failure> {
        self.s3.get(&self.object(name)).await.map_err(Failure::failed)
    }

    async fn outside(&self, folder: &str, key: &str) -> Option<String> {
        let file = key.rsplit('/').next().filter(|file| !file.is_empty())?;
        // An incremental export has its data in a folder next to its own, which the listing does not cover.
        let name = match folder.rsplit_once('/') {
            Some((parent, _)) => format!("{parent}/data/{file}"),
            None => format!("data/{file}"),
        };
        (!name.starts_with(&self.url.key)).then_some(name)
    }

    fn describe(&self, name: &str) -> String {
        if name.is_empty() { self.url.to_string() } else { self.object(name).to_string() }
    }
}

/// A folder on this machine.
pub(crate) struct Folder(PathBuf);

impl Folder {
    fn failure(path: &Path, error: &std::io::Error) -> Failure {
        Failure::not_begun(format!("{} cannot be read: {error}", path.display()))
    }
}

impl Files for Folder {
    async fn list(&self) -> Result<Vec<String>, Failure> {
        let mut names = Vec::new();
        let mut folders = vec![(self.0.clone(), String::new())];
        while let Some((path, prefix)) = folders.pop() {
            let entries = std::fs::read_dir(&path).map_err(|error| Self::failure(&path, &error))?;
            for entry in entries {
                let entry = entry.map_err(|error| Self::failure(&path, &error))?;
                // What is not UTF-8 was not written by DynamoDB.
                let Ok(name) = entry.file_name().into_string() else { continue };
                let name = format!("{prefix}{name}");
                // Follows links to files, and not to folders, which could lead around in a circle.
                match entry.file_type() {
                    Ok(kind) if kind.is_dir() => folders.push((entry.path(), format!("{name}/"))),
                    _ => names.push(name),
                }
            }
        }
        names.sort();
        Ok(names)
    }

    async fn read(&self, name: &str) -> Result<Vec<u8>, Failure> {
        let path = self.0.join(name);
        std::fs::read(&path).map_err(|error| Failure::failed(Self::failure(&path, &error)))
    }

    async fn outside(&self, folder: &str, key: &str) -> Option<String> {
        // The folder of the export was given. An incremental export has its data in a folder next to it.
        let file = key.rsplit('/').next().filter(|file| !file.is_empty() && *file != "..")?;
        let name = format!("../data/{file}");
        (folder.is_empty() && self.0.join(&name).is_file()).then_some(name)
    }

    fn describe(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }
}

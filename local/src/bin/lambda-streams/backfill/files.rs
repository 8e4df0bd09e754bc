//! Where the files of an export are.

use std::path::{Path, PathBuf};

use crate::failure::Failure;

/// Files by their names, with `/` between folders.
pub(crate) trait Files {
    /// All of them.
    async fn list(&self) -> Result<Vec<String>, Failure>;

    /// The content of one.
    async fn read(&self, name: &str) -> Result<Vec<u8>, Failure>;

    /// The name of a data file that the manifest in `folder` calls by its S3 key and that is not among the listed, if it may be
    /// there all the same.
    async fn outside(&self, folder: &str, key: &str) -> Option<String>;

    /// How messages call a file, or all of them for an empty name.
    fn describe(&self, name: &str) -> String;
}

/// A folder on this machine.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

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
        std::fs::read(&path).map_err(|error| Self::failure(&path, &error))
    }

    async fn outside(&self, folder: &str, key: &str) -> Option<String> {
        // The folder of the export was given, and an incremental export has its data in a folder beside it.
        let file = key.rsplit('/').next().filter(|file| !file.is_empty() && *file != "..")?;
        let name = format!("../data/{file}");
        (folder.is_empty() && self.0.join(&name).is_file()).then_some(name)
    }

    fn describe(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }
}

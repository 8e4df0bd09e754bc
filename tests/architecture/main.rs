//! ARCHITECTURE.md and its picture show the modules as they are: none is missing, and none imports a module above it. The pictures of
//! the guide are the ones that rustdoc shows. The docs of what a feature adds name the feature.
//!
//! The picture of the modules is drawn from the code itself. `make architecture` draws it again, and with it the links of the guide's
//! pictures.
#![allow(clippy::unwrap_used, reason = "a test that unwraps an error fails, as it should")]

mod features;
mod picture;
mod rooms;

use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use self::rooms::Rooms;

/// A record's way: what happens to it, and the module that does it.
const WAY: [(&str, &str); 9] = [
    ("runtime", "A payload arrives as bytes."),
    ("event", "Its records are located, 64 at a time."),
    ("record", "Each record's header is read."),
    ("execute", "Each record waits in its item's lane."),
    ("decode", "Its images become the user's type."),
    ("handler", "The user's handler runs."),
    ("dead_letter", "A record that cannot succeed goes to a queue."),
    ("outcome", "The checkpoint follows from all outcomes, and is the response."),
    ("observe", "Metrics and logs are written."),
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The library, and the local event source mapping where its package is there too.
fn packages() -> Vec<Rooms> {
    let sources = ["src", "local/src", "local/src/bin/lambda-streams"].map(|source| root().join(source));
    sources.iter().filter(|source| source.exists()).map(|source| Rooms::read(source)).collect()
}

#[test]
fn no_module_imports_one_above_it() {
    for rooms in packages() {
        if let Some(circle) = rooms.circle() {
            panic!("modules import each other in a circle: {}", circle.join(" -> "));
        }
    }
}

#[test]
fn every_file_begins_with_its_idea() {
    let files = packages().into_iter().flat_map(|rooms| rooms.files);
    let silent: Vec<PathBuf> = files.filter(|file| !read(file).starts_with("//! ")).collect();
    assert!(silent.is_empty(), "these files do not begin with `//!`: {silent:#?}");
}

#[test]
fn the_picture_shows_the_modules_as_they_are() {
    let path = root().join("src/docs/architecture.svg");
    let drawn = picture::draw(&Rooms::read(&root().join("src")), &WAY);
    if std::env::var_os("DRAW").is_some() {
        fs::write(&path, drawn).unwrap();
    } else {
        assert!(read(&path) == drawn, "src/docs/architecture.svg is not what the code is now: run `make architecture`");
    }
}

/// A page of the guide defines the link of its picture as a file, which GitHub shows. Rustdoc copies no files, so the page's module
/// includes `NAME.link` first: the same link with the picture inside.
#[test]
fn each_picture_of_the_guide_is_the_one_that_rustdoc_shows() {
    let docs = root().join("src/docs");
    let guide = read(&root().join("src/guide.rs"));
    let pages = fs::read_dir(&docs).unwrap().map(|entry| entry.unwrap().path());
    let pages = pages.filter(|path| path.extension().is_some_and(|end| end == "md"));
    let mut pictures: Vec<String> = pages.flat_map(|page| pictures_of(&read(&page))).collect();
    pictures.sort();
    assert!(pictures.len() >= 4, "the pages show {pictures:?}");
    for name in pictures {
        let include = format!("include_str!(\"docs/{name}.link\")");
        assert!(guide.contains(&include), "src/guide.rs does not have {include}, so rustdoc does not show {name}.svg");
        let svg = STANDARD.encode(read(&docs.join(format!("{name}.svg"))));
        let link = format!("[{name}]: data:image/svg+xml;base64,{svg}\n");
        let path = docs.join(format!("{name}.link"));
        if std::env::var_os("DRAW").is_some() {
            fs::write(&path, link).unwrap();
        } else {
            assert!(read(&path) == link, "{} is not what {name}.svg is now: run `make architecture`", path.display());
        }
    }
}

/// The pictures that a page shows: the names of its links `[name]: name.svg`.
fn pictures_of(page: &str) -> Vec<String> {
    let links = page.lines().filter_map(|line| line.strip_prefix('[')?.strip_suffix(".svg")?.split_once("]: "));
    links.filter(|(name, file)| name == file).map(|(name, _)| (*name).to_owned()).collect()
}

#[test]
fn the_text_names_every_module() {
    let text = read(&root().join("ARCHITECTURE.md"));
    let rooms = Rooms::read(&root().join("src"));
    let is_named = |name: &&String| text.contains(&format!("`{name}`"));
    let missing: Vec<&String> = rooms.by_name.keys().filter(|name| !is_named(name)).collect();
    assert!(missing.is_empty(), "ARCHITECTURE.md does not name {missing:?}");
}

/// What a path in a text may be relative to.
const BASES: [&str; 3] = ["", "src", "local/src/bin/lambda-streams"];

/// Paths in backticks that end in `/` or in a file's extension exist, so the text must follow a move.
#[test]
fn the_text_names_no_file_that_is_gone() {
    for page in ["ARCHITECTURE.md", "CONTRIBUTING.md"] {
        let text = read(&root().join(page));
        let quoted = text.split('`').skip(1).step_by(2);
        let paths = quoted.filter(|word| !word.contains([' ', '*', '<', '{']) && word.contains('/'));
        let is_path = |word: &&str| {
            word.ends_with('/') || [".rs", ".md", ".svg", ".sh", ".txt", ".ts"].iter().any(|end| word.ends_with(end))
        };
        let gone: Vec<&str> = paths
            .filter(is_path)
            .filter(|path| !BASES.iter().any(|base| root().join(base).join(path).exists()))
            .filter(|path| !path.starts_with("target/"))
            .collect();
        assert!(gone.is_empty(), "{page} names files that do not exist: {gone:?}");
    }
}

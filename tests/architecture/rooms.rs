//! The modules at the top of a `src` folder, and which of them import which.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The modules of a crate, except for its root.
pub(crate) struct Rooms {
    pub(crate) by_name: BTreeMap<String, Room>,
    /// Every source file.
    pub(crate) files: Vec<PathBuf>,
}

/// A module: its file and the folder of the same name.
#[derive(Default)]
pub(crate) struct Room {
    /// The first sentence of its docs.
    pub(crate) idea: String,
    /// The other modules that it imports, tests left out.
    pub(crate) imports: BTreeSet<String>,
}

impl Rooms {
    pub(crate) fn read(source: &Path) -> Self {
        let files = source_files(source);
        let mut by_name: BTreeMap<String, Room> = BTreeMap::new();
        for file in &files {
            let Some(name) = room_of(source, file) else { continue };
            let text = super::read(file);
            let room = by_name.entry(name.clone()).or_default();
            if file.parent() == Some(source) {
                room.idea = first_sentence(&text);
            }
            room.imports.extend(imports(&text));
        }
        let names: BTreeSet<String> = by_name.keys().cloned().collect();
        for (name, room) in &mut by_name {
            room.imports.retain(|import| import != name && names.contains(import));
        }
        assert!(!by_name.is_empty(), "{} has no modules", source.display());
        Self { by_name, files }
    }

    /// Modules that import each other, if any do: each imports the next, and the last is the first.
    pub(crate) fn circle(&self) -> Option<Vec<String>> {
        self.by_name.keys().find_map(|name| self.way_back(name, &mut vec![name.clone()]))
    }

    fn way_back(&self, to: &str, way: &mut Vec<String>) -> Option<Vec<String>> {
        let last = way.last().expect("a way has a start").clone();
        for next in &self.by_name[&last].imports {
            way.push(next.clone());
            if next == to {
                return Some(way.clone());
            }
            let is_new = way.iter().filter(|name| *name == next).count() == 1;
            if is_new && let Some(circle) = self.way_back(to, way) {
                return Some(circle);
            }
            way.pop();
        }
        None
    }

    /// The modules by floors, from the ground up: a module is one floor above the highest that it imports.
    pub(crate) fn floors(&self) -> Vec<Vec<&str>> {
        let mut floors: Vec<Vec<&str>> = Vec::new();
        let mut placed: BTreeSet<&str> = BTreeSet::new();
        while placed.len() < self.by_name.len() {
            let rests_on_placed = |room: &Room| room.imports.iter().all(|import| placed.contains(&**import));
            let floor: Vec<&str> = self
                .by_name
                .iter()
                .filter(|(name, room)| !placed.contains(&***name) && rests_on_placed(room))
                .map(|(name, _)| &**name)
                .collect();
            assert!(!floor.is_empty(), "modules import each other in a circle: {:?}", self.circle());
            placed.extend(&floor);
            floors.push(floor);
        }
        floors
    }
}

fn source_files(folder: &Path) -> Vec<PathBuf> {
    let mut entries: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    let files = entries.into_iter().flat_map(|path| match path.is_dir() {
        true => source_files(&path),
        false => vec![path],
    });
    files.filter(|path| path.extension().is_some_and(|extension| extension == "rs")).collect()
}

/// The name of the top-level module that a file belongs to; none for the crate's root and for programs.
fn room_of(source: &Path, file: &Path) -> Option<String> {
    let first = file.strip_prefix(source).unwrap().components().next().unwrap();
    let name = Path::new(first.as_os_str()).file_stem().unwrap().to_str().unwrap();
    (!["lib", "main", "bin"].contains(&name)).then(|| name.to_owned())
}

fn first_sentence(text: &str) -> String {
    let docs = text.lines().map_while(|line| line.strip_prefix("//!")).map(str::trim);
    let docs = docs.take_while(|line| !line.is_empty()).collect::<Vec<_>>().join(" ");
    docs.split_once(". ").map_or(docs.clone(), |(first, _)| format!("{first}."))
}

/// What follows `crate::` in the code, comments and tests left out.
fn imports(text: &str) -> BTreeSet<String> {
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    let code: Vec<&str> = code.lines().map(|line| line.split("//").next().unwrap_or_default()).collect();
    let code = code.join("\n");
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    let names = code.split("crate::").skip(1).flat_map(|rest| match rest.strip_prefix('{') {
        Some(list) => list.split('}').next().unwrap_or_default().split(',').collect(),
        None => vec![rest],
    });
    names.map(|name| name.trim().chars().take_while(|c| is_name(*c)).collect()).collect()
}

#[test]
fn imports_are_found_outside_of_comments_and_tests() {
    let text =
        "use crate::a::B;\n// crate::c\nfn f(x: crate::d::E) {}\nuse crate::{f, g::H};\n#[cfg(test)]\nuse crate::i;";
    assert_eq!(imports(text).into_iter().collect::<Vec<_>>(), ["a", "d", "f", "g"]);
}

#[test]
fn a_circle_is_found() {
    let room =
        |imports: &[&str]| Room { idea: String::new(), imports: imports.iter().map(ToString::to_string).collect() };
    let rooms = |rooms: Vec<(&str, Room)>| Rooms {
        by_name: rooms.into_iter().map(|(name, room)| (name.to_owned(), room)).collect(),
        files: Vec::new(),
    };
    let good = rooms(vec![("a", room(&["b", "c"])), ("b", room(&["c"])), ("c", room(&[]))]);
    assert_eq!((good.circle(), good.floors()), (None, vec![vec!["c"], vec!["b"], vec!["a"]]));
    let bad = rooms(vec![("a", room(&["b"])), ("b", room(&["c"])), ("c", room(&["b"]))]);
    assert_eq!(bad.circle().unwrap(), ["b", "c", "b"]);
}

//! Every public item that only a feature adds names the feature in its docs, which docs.rs and a local `cargo doc` both show.

use std::path::PathBuf;

use crate::rooms::Rooms;
use crate::{read, root};

/// A public item, and the feature that adds it.
#[derive(Debug)]
struct Gated {
    feature: String,
    name: String,
}

/// The feature of a line `#[cfg(feature = "…")]`.
fn feature_of(line: &str) -> Option<&str> {
    line.trim().strip_prefix("#[cfg(feature = \"")?.strip_suffix("\")]")
}

/// The names that a `pub use` of `lib.rs` exports under a feature.
fn exported(lib: &str) -> Vec<Gated> {
    let mut items = Vec::new();
    for (before, path) in lib.split_inclusive(';').filter_map(|statement| statement.split_once("pub use ")) {
        let Some(feature) = before.trim_end().lines().last().and_then(feature_of) else { continue };
        let (_, names) = path.trim_end_matches(';').rsplit_once("::").expect("a path has parts");
        let names = names.trim_matches(['{', '}', '\n', ' ']).split(',').map(str::trim);
        let named = names.filter(|name| !name.is_empty());
        items.extend(named.map(|name| Gated { feature: feature.to_owned(), name: name.to_owned() }));
    }
    items
}

/// Whether this line declares the public item.
fn declares(line: &str, name: &str) -> bool {
    let words: Vec<&str> = line.trim_start().splitn(4, |c: char| !c.is_alphanumeric() && c != '_').collect();
    matches!(words[..], ["pub", "struct" | "enum" | "trait" | "fn", declared, _] if declared == name)
}

/// The docs and attributes of the item that a line of a file declares, up to the blank line before them. A text of several lines in an
/// attribute (`doc = r#"…"#`) may have blank lines.
fn docs<'a>(lines: &[&'a str], declared: usize) -> Vec<&'a str> {
    let mut is_in_text = false;
    let belongs = |line: &&&str| {
        is_in_text = line.trim() == "\"#" || is_in_text && !line.contains("r#\"");
        is_in_text || !line.trim().is_empty()
    };
    lines[..declared].iter().rev().take_while(belongs).copied().collect()
}

fn files() -> Vec<(PathBuf, String)> {
    Rooms::read(&root().join("src")).files.into_iter().map(|file| (file.clone(), read(&file))).collect()
}

/// The methods that a feature adds. A page of the guide begins with its own subject.
fn methods(files: &[(PathBuf, String)]) -> Vec<Gated> {
    let mut items = Vec::new();
    for (_, text) in files.iter().filter(|(file, _)| !file.ends_with("guide.rs")) {
        let lines: Vec<&str> = text.lines().collect();
        for (number, line) in lines.iter().enumerate() {
            let Some(method) = line.strip_prefix("    pub fn ") else { continue };
            if let Some(feature) = docs(&lines, number).into_iter().find_map(feature_of) {
                let name = method.split(['<', '(']).next().unwrap_or_default().to_owned();
                items.push(Gated { feature: feature.to_owned(), name });
            }
        }
    }
    items
}

/// The items without a line of docs that names their feature.
fn silent(items: &[Gated], files: &[(PathBuf, String)]) -> Vec<String> {
    let has_badge = |item: &Gated| {
        let badge = format!("Available with the feature `{}`", item.feature);
        files.iter().any(|(_, text)| {
            let lines: Vec<&str> = text.lines().collect();
            let mut declared = (0..lines.len()).filter(|&line| declares(lines[line], &item.name));
            declared.any(|line| docs(&lines, line).iter().any(|doc| doc.contains(&badge)))
        })
    };
    items.iter().filter(|item| !has_badge(item)).map(|item| item.name.clone()).collect()
}

#[test]
fn every_item_of_a_feature_names_it() {
    let files = files();
    let mut items = exported(&read(&root().join("src/lib.rs")));
    items.extend(methods(&files));
    let known = |name: &str| items.iter().any(|item| item.name == name);
    assert!(["Emf", "SqsDeadLetterQueue", "Guard", "new_item"].into_iter().all(known), "{items:?}");
    let silent = silent(&items, &files);
    assert!(silent.is_empty(), "say \"Available with the feature `…`.\" in the docs of {silent:?}");
}

/// The pages of the guide that exist with features alone, each with its features that the page does not name at its end.
fn silent_pages(guide: &str) -> Vec<(String, Vec<String>)> {
    let pages = guide.split("\n\n").filter(|page| page.starts_with("#[cfg("));
    pages
        .map(|page| {
            let (condition, docs) = page.split_once('\n').expect("a condition is on a line of its own");
            let features = condition.split('"').skip(1).step_by(2);
            let badge = docs.split("Available with the feature").nth(1).unwrap_or_default();
            let name = docs.split("pub mod ").nth(1).and_then(|rest| rest.split(' ').next()).expect("it is a module");
            (
                name.to_owned(),
                features.filter(|name| !badge.contains(&format!("`{name}`"))).map(str::to_owned).collect(),
            )
        })
        .collect()
}

#[test]
fn every_page_of_a_feature_names_it() {
    let pages = silent_pages(&read(&root().join("src/guide.rs")));
    assert!(["clients", "operating"].into_iter().all(|known| pages.iter().any(|(name, _)| name == known)), "{pages:?}");
    for (page, silent) in pages {
        assert!(silent.is_empty(), "say \"Available with the feature `…`.\" at the end of {page}: {silent:?}");
    }
}

#[test]
fn a_missing_badge_is_found() {
    let lib = "#[cfg(feature = \"emf\")]\npub use crate::observe::{Emf, EmfBuilder};\npub use crate::error::Error;";
    let text = "/// Writes.\n///\n/// Available with the feature `emf`.\npub struct Emf {}\n\n/// Builds.\npub struct EmfBuilder {}\n";
    assert_eq!(silent(&exported(lib), &[(PathBuf::from("emf.rs"), text.to_owned())]), ["EmfBuilder"]);

    let guide = "#[cfg(all(feature = \"emf\", feature = \"logs\"))]\n#[doc = \"Available with the feature `emf`.\"]\npub mod operating {}";
    assert_eq!(silent_pages(guide), [("operating".to_owned(), vec!["logs".to_owned()])]);
}

//! What a plain `cargo bench` builds.

use std::process::Command;

/// Cargo unites the features of all packages that it builds together: those that a default member of the workspace asks of
/// `lambda-streams`, in its development dependencies too, are built into the benches.
#[test]
fn benches_build_no_aws_client_and_no_database() {
    let tree = Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--no-dedupe", "--prefix", "depth", "--format", " {p}"])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .output()
        .expect("cargo runs");
    let tree = String::from_utf8(tree.stdout).expect("cargo prints UTF-8");
    let ours = tree.lines().skip_while(|line| !line.starts_with("0 lambda-streams-benches "));
    let packages: Vec<&str> = ours.skip(1).take_while(|line| !line.starts_with("0 ")).collect();

    assert!(packages.iter().any(|package| package.contains(" lambda-streams ")), "not the benches' tree: {tree}");
    for unwanted in [" aws-sdk", " aws-config", " aws-smithy", " libsqlite3-sys ", " dynoxide"] {
        let found: Vec<_> = packages.iter().filter(|package| package.contains(unwanted)).collect();
        assert!(found.is_empty(), "{found:?}");
    }
}

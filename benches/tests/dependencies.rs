//! What a plain `cargo bench` builds.

use std::process::Command;

/// Cargo unifies the features of the packages that it builds together: if a default member of the workspace enables the
/// feature `sqs`, even in its development dependencies, the benches are built with the AWS SDK.
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

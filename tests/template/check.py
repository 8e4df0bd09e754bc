"""Makes a project of the template as a user does, and holds it to its README: it builds, its tests and clippy pass, the program
processes the event file, and the CDK app synthesizes. It uses the crate and the construct of this checkout.

    make test-template

Needs in the environment: TARGET, the target directory; LAMBDA_STREAMS, the program `lambda-streams`; CARGO_LAMBDA, the program
`cargo-lambda`, which need not be there.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE = ROOT / "template"
INFRA = ROOT / "infra-cdk"
TARGET = Path(os.environ["TARGET"])
CARGO = os.environ.get("CARGO", "cargo")
# A name with an underscore, which is not valid in the name of a stack.
NAME = "order_mails"
WORK = TARGET / "template"
# The profile of this workspace, so dependencies with the same features are built once.
CONFIG = [f'patch.crates-io.lambda-streams.path="{ROOT}"', 'profile.dev.debug="line-tables-only"', 'profile.dev.package."*".debug=false']


def run(*command: str | Path, cwd: Path, **variables: str) -> str:
    """The standard output; if the program fails, all of its output, and the end."""
    environment = os.environ | {"CARGO_TARGET_DIR": str(TARGET), "CARGO_TERM_COLOR": "never"} | variables
    ran = subprocess.run(command, cwd=cwd, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if ran.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, command))}: exit code {ran.returncode}\n{ran.stdout}\n{ran.stderr}")
    return ran.stdout


def files(folder: Path) -> dict[str, str]:
    """The contents of all files by their path in the folder."""
    return {str(file.relative_to(folder)): file.read_text() for file in sorted(folder.rglob("*")) if file.is_file()}


def tracked_template() -> dict[str, str]:
    """Without what an editor or npm has left in the folder."""
    listed = run("git", "ls-files", "-z", "-co", "--exclude-standard", cwd=TEMPLATE)
    return {name: (TEMPLATE / name).read_text() for name in sorted(listed.split("\0")) if name}


def substituted() -> dict[str, str]:
    """What the template is with its one variable filled in."""
    template = tracked_template()
    del template["CargoLambda.toml"]
    return {name: text.replace("{{ project_name }}", NAME) for name, text in template.items()}


def render() -> Path:
    """Makes the project: with `cargo lambda new` where it is there."""
    shutil.rmtree(WORK, ignore_errors=True)
    WORK.mkdir(parents=True)
    # The nearest one counts: a user's project has the default format, and not that of this repository.
    (WORK / "rustfmt.toml").touch()
    project = WORK / NAME
    expected = substituted()
    assert not any("{{" in text or "{%" in text for text in expected.values()), "the template has a variable that this test does not know"
    cargo_lambda = Path(os.environ["CARGO_LAMBDA"])
    if not cargo_lambda.exists():
        print("NOT CHECKED: that `cargo lambda new` makes the project (cargo-lambda cannot be installed here); its variable is filled in by hand")
        for name, text in expected.items():
            (project / name).parent.mkdir(parents=True, exist_ok=True)
            (project / name).write_text(text)
        return project
    # The folder itself, and the root of a repository: `cargo lambda new` takes the folder `template` of it.
    for place in (TEMPLATE, repository()):
        shutil.rmtree(project, ignore_errors=True)
        run(cargo_lambda, "lambda", "new", "--template", place, NAME, cwd=WORK)
        rendered = files(project)
        assert rendered == expected, f"{place}: {sorted(set(rendered.items()) ^ set(expected.items()))}"
    return project


def repository() -> Path:
    """A clone has more folders than the template, and nothing that is not tracked."""
    root = WORK / "repository"
    for name, text in tracked_template().items():
        file = root / "template" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    (root / "src").mkdir()
    (root / "src" / "lib.rs").write_text("//! Not of the template.\n")
    return root


def cargo(project: Path, command: str, *arguments: str) -> str:
    options = [word for setting in CONFIG for word in ("--config", setting)]
    return run(CARGO, command, *options, *arguments, cwd=project)


def build_and_test(project: Path) -> None:
    # The versions that this workspace is tested with.
    shutil.copy(ROOT / "Cargo.lock", project)
    cargo(project, "build", "--quiet")
    output = cargo(project, "test", "--quiet")
    passed = re.search(r"test result: ok\. (\d+) passed", output)
    assert passed and int(passed[1]) >= 5, output
    packages = json.loads(cargo(project, "metadata", "--format-version", "1"))["packages"]
    [crate] = [package for package in packages if package["name"] == "lambda-streams"]
    assert crate["source"] is None, "the template was tested with a published crate, not with this checkout: which version does it name?"


def lint(project: Path) -> None:
    run(CARGO, "fmt", "--check", cwd=project)
    cargo(project, "clippy", "--quiet", "--all-targets", "--", "-D", "warnings")


def invoke(project: Path) -> None:
    """The two commands of the README that run the function on this machine."""
    program = TARGET / "debug" / NAME
    lambda_streams = os.environ["LAMBDA_STREAMS"]
    log = WORK / "function.log"
    event = "events/batch.json"
    once = run(lambda_streams, "invoke", event, "--bootstrap", program, "--function-log", log, cwd=project)
    assert "all 3 records are done" in once, once
    run(lambda_streams, "run", "--events", event, "--bootstrap", program, "--function-log", log, cwd=project)
    said = [json.loads(line).get("message") for line in log.read_text().splitlines() if line.startswith("{")]
    for message in ("order created", "order changed", "order removed"):
        assert said.count(message) == 2, f"{message}: {said}"
    assert said.count("mail sent") == 6, said
    assert "example.com" not in log.read_text(), "an address is in the log"


def synthesize(project: Path) -> None:
    """The CDK app, type-checked and synthesized with the construct of this checkout; the function is not built for it."""
    infra = project / "infra"
    modules = infra / "node_modules"
    modules.mkdir()
    wanted = json.loads((infra / "package.json").read_text())
    construct = json.loads((INFRA / "package.json").read_text())
    for name in wanted["dependencies"] | wanted["devDependencies"]:
        (modules / name).parent.mkdir(exist_ok=True)
        (modules / name).symlink_to(INFRA if name == construct["name"] else INFRA / "node_modules" / name)
    # It fails if the template wants other versions than those that the construct is tested with.
    run("npm", "ls", "--depth", "0", cwd=infra)
    node_modules = INFRA / "node_modules"
    run("node", node_modules / "typescript" / "bin" / "tsc", cwd=infra)
    out = WORK / "cdk.out"
    run(
        *("node", node_modules / "tsx" / "dist" / "cli.mjs", "app.ts"),
        cwd=infra,
        CDK_OUTDIR=str(out),
        CDK_CONTEXT_JSON=json.dumps({"aws:cdk:bundling-stacks": []}),
    )
    manifest = json.loads((out / "manifest.json").read_text())
    stack = manifest["artifacts"][NAME.replace("_", "-")]
    metadata = json.loads((out / stack["additionalMetadataFile"]).read_text())
    said = [entry for entries in metadata.values() for entry in entries if entry["type"] in ("aws:cdk:warning", "aws:cdk:error")]
    assert not said, said
    resources = json.loads((out / stack["properties"]["templateFile"]).read_text())["Resources"]
    [mapping] = of_type(resources, "AWS::Lambda::EventSourceMapping")
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    [function] = of_type(resources, "AWS::Lambda::Function")
    assert {"DLQ_URL", "LAMBDA_STREAMS_CONCURRENCY"} <= set(function["Environment"]["Variables"])
    [table] = of_type(resources, "AWS::DynamoDB::Table")
    assert table["StreamSpecification"] == {"StreamViewType": "NEW_AND_OLD_IMAGES"}
    assert table["KeySchema"] == [{"AttributeName": "id", "KeyType": "HASH"}]


def of_type(resources: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [resource["Properties"] for resource in resources.values() if resource["Type"] == kind]


def main() -> int:
    project = render()
    for step in (build_and_test, lint, invoke, synthesize):
        began = time.monotonic()
        step(project)
        print(f"template: {step.__name__.replace('_', ' ')}: ok, {time.monotonic() - began:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())

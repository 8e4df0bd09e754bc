"""Fails if a finding is accepted in a template that checkov and cfn-lint would not make without the acceptance.

A reason that outlives its finding says something untrue about the resource, and would hide the finding if it came back.

Usage: stale_reasons.py CHECKOV CFN_LINT TEMPLATE...
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path


def accepted(resources: dict) -> set[tuple[str, str]]:
    """The (logical id, check) pairs that the metadata of the resources accepts."""
    pairs = set()
    for logical_id, resource in resources.items():
        metadata = resource.get("Metadata", {})
        checks = [skip["id"] for skip in metadata.get("checkov", {}).get("skip", [])]
        checks += metadata.get("cfn-lint", {}).get("config", {}).get("ignore_checks", [])
        pairs |= {(logical_id, check) for check in checks}
    return pairs


def without_acceptance(template: dict) -> dict:
    """The template with every acceptance taken out."""
    for resource in template["Resources"].values():
        for tool in ("checkov", "cfn-lint"):
            resource.get("Metadata", {}).pop(tool, None)
    return template


def output_of(command: list[str]) -> object:
    """What a checker prints as JSON; a checker exits non-zero when it has findings."""
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=False).stdout)


def found_by_checkov(checkov: str, file: Path) -> set[tuple[str, str]]:
    """The (logical id, check) pairs that checkov fails."""
    options = ["--framework", "cloudformation", "--skip-download", "--output", "json", "--file", str(file)]
    report = output_of([checkov, *options])
    failed = report["results"]["failed_checks"]
    return {(check["resource"].split(".", 1)[1], check["check_id"]) for check in failed}


def found_by_cfn_lint(cfn_lint: str, file: Path) -> set[tuple[str, str]]:
    """The (logical id, check) pairs that cfn-lint reports."""
    matches = output_of([cfn_lint, "--format", "json", "--", str(file)])
    return {(match["Location"]["Path"][1], match["Rule"]["Id"]) for match in matches}


def main() -> int:
    """Compares what is accepted with what is found, template by template."""
    checkov, cfn_lint, *names = sys.argv[1:]
    stale, total = [], 0
    for name in names:
        template = json.loads(Path(name).read_text())
        wanted = accepted(template["Resources"])
        total += len(wanted)
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "template.json")
            file.write_text(json.dumps(without_acceptance(template)))
            found = found_by_checkov(checkov, file) | found_by_cfn_lint(cfn_lint, file)
        stale += [f"{name}: {logical_id} accepts {check}, but no checker reports it" for logical_id, check in wanted - found]
    print("\n".join(sorted(stale)) or f"{total} accepted findings, each one still a finding")
    return 1 if stale or total == 0 else 0


if __name__ == "__main__":
    sys.exit(main())

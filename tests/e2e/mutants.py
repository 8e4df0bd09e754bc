"""Breaks the system on purpose, one fault at a time, and shows which scenarios notice: `make e2e-mutants`.

Each mutant is a copy of this checkout below target/, with one line changed. It is caught if every scenario named here fails; one that
does not even build or deploy is not caught, since no scenario has seen it.
"""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from harness import paths

TREE = paths.RUNS / "mutant"


@dataclass(frozen=True)
class Mutant:
    name: str
    file: str
    old: str
    new: str
    # The functions of the scenarios that must fail; others may.
    caught_by: tuple[str, ...]


MUTANTS = [
    Mutant(
        "the role has no sqs:SendMessage on the dead-letter queue",
        "infra-cdk/lib/grants.ts",
        "['sqs:SendMessage', 'sqs:GetQueueAttributes'], [queue.queueArn]",
        "['sqs:GetQueueAttributes'], [queue.queueArn]",
        ("test_a_record_that_does_not_decode", "test_matrix", "test_tried_as_the_function"),
    ),
    Mutant(
        "the mapping has no ReportBatchItemFailures",
        "infra-cdk/lib/stream-mapping.ts",
        "reportBatchItemFailures: REPORT_BATCH_ITEM_FAILURES",
        "reportBatchItemFailures: false",
        ("test_mapping", "test_what_is_deployed_is_what_runs", "test_outage_of_the_queue", "test_retries_exhausted"),
    ),
    Mutant(
        "mapping and function agree that failures are not reported",
        "infra-cdk/lib/processor-settings.ts",
        "REPORT_BATCH_ITEM_FAILURES = true",
        "REPORT_BATCH_ITEM_FAILURES: boolean = false",
        ("test_mapping", "test_a_queue_that_denies"),
    ),
    Mutant(
        "the function does not read its settings",
        "src/processor/from_env.rs",
        "Ok(with_settings(builder, &environment))",
        "drop(with_settings(StreamProcessor::builder(), &environment)); Ok(builder)",
        ("test_the_settings_act", "test_the_give_up_age_acts", "test_driven_from_outside"),
    ),
    Mutant(
        "the records of an item have no order",
        "examples/stream-processor/src/processor.rs",
        "    builder.on_insert(",
        "    builder.lanes(lambda_streams::Lanes::Unordered).on_insert(",
        ("test_order_of_one_item",),
    ),
    Mutant(
        "a posted record may be of any table",
        "examples/stream-processor/src/on_demand.rs",
        "if record.table_name() != Some(&self.table_name)",
        "if record.table_name().is_none()",
        ("test_forged_records",),
    ),
    Mutant(
        "nobody is kept out of the API by address",
        "infra-cdk/lib/ip-allow-list.ts",
        "{ NotIpAddress: { 'aws:SourceIp': cidrs } }",
        "{ NotIpAddress: { 'aws:SourceIp': [...cidrs, '127.0.0.0/8'] } }",
        ("test_outside_the_allow_list",),
    ),
]


def main() -> int:
    chosen = [mutant for mutant in MUTANTS if all(word in mutant.name for word in sys.argv[1:])]
    survivors = [mutant.name for mutant in chosen if not is_caught(mutant)]
    print(f"\n{len(chosen) - len(survivors)} of {len(chosen)} mutants were caught", *survivors, sep="\nnot: ")
    return len(survivors)


def is_caught(mutant: Mutant) -> bool:
    print(f"\n=== mutant: {mutant.name} ({mutant.file})", flush=True)
    copy_checkout()
    file = TREE / mutant.file
    text = file.read_text()
    assert text.count(mutant.old) == 1, f"{mutant.file} has changed: {mutant.old!r}"
    file.write_text(text.replace(mutant.old, mutant.new))
    outcomes = failing_scenarios()
    for outcome, file, name in outcomes:
        print(f"{outcome.lower()}: {file}::{name}")
    failed = {name.split("[")[0] for outcome, _, name in outcomes if outcome == "FAILED"}
    missing = [name for name in mutant.caught_by if name not in failed]
    print("caught" if not missing else f"NOT CAUGHT by {', '.join(missing)}", flush=True)
    return not missing


def copy_checkout() -> None:
    """Everything of the checkout that is not ignored, with its node modules next to it."""
    shutil.rmtree(TREE, ignore_errors=True)
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=paths.ROOT, check=True, capture_output=True
    )
    for name in listed.stdout.decode().split("\0")[:-1]:
        if (paths.ROOT / name).is_file():
            (TREE / name).parent.mkdir(parents=True, exist_ok=True)
            # The old time too, or every mutant would build everything.
            shutil.copy2(paths.ROOT / name, TREE / name)
    (TREE / "infra-cdk" / "node_modules").symlink_to(paths.INFRA / "node_modules")


def failing_scenarios() -> list[tuple[str, str, str]]:
    """FAILED, or ERROR where its set-up or the taking down did; the file; the scenario."""
    command = [sys.executable, "-m", "pytest", TREE / "tests" / "e2e", "--tb=no", "-rfE"]
    # A build directory of its own: Cargo would take what it has built of a mutant for the program of the checkout.
    environment = os.environ | {"CARGO_TARGET_DIR": str(paths.TARGET / "e2e-mutants"), "PYTHONDONTWRITEBYTECODE": "1"}
    output = subprocess.run(command, env=environment, capture_output=True, text=True).stdout
    (Path(paths.RUNS) / "mutant.log").write_text(output)
    return re.findall(r"^(FAILED|ERROR) (?:\S*/)?([^/\s]+)::(.+?)(?: - .*)?$", output, re.MULTILINE)


if __name__ == "__main__":
    sys.exit(main())

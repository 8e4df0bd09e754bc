"""The emulator and the deployed demo, once for all scenarios; what is started here is stopped here."""

import json
import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from harness import function, local_mapping, paths
from harness.cdk import TOTALS, TOTALS_STACK, Cdk
from harness.deployment import Deployment
from harness.emulator import Emulator
from harness.local_mapping import LocalMapping, MappingSettings, Start
from harness.queues import Queue
from harness.steps import Steps
from harness.totals import Totals

STEPS = pytest.StashKey[Steps]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[STEPS] = Steps()
    # Like Ctrl-C: the fixtures take down what they set up.
    signal.signal(signal.SIGTERM, signal.default_int_handler)


@pytest.fixture(scope="session")
def steps(request: pytest.FixtureRequest) -> Steps:
    return request.config.stash[STEPS]


@pytest.fixture(scope="session")
def run_folder(request: pytest.FixtureRequest) -> Iterator[Path]:
    """A folder for everything that this run writes; it stays where something failed."""
    paths.RUNS.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="run-", dir=paths.RUNS))
    yield folder
    if request.session.testsfailed or any(step.outcome != "ok" for step in request.config.stash[STEPS].done):
        request.config.stash[STEPS].print_line(f"=== logs are kept in {folder}")
    elif "E2E_KEEP" not in os.environ:
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def emulator(run_folder: Path, steps: Steps) -> Iterator[Emulator]:
    with steps.step("start the emulator"):
        emulator = Emulator(run_folder)
    yield emulator
    with steps.step("stop the emulator"):
        emulator.stop()


@pytest.fixture(scope="session")
def asset(run_folder: Path, steps: Steps) -> Path:
    """A folder with the function's program, as `cdk deploy` takes it."""
    if "E2E_FUNCTION" in os.environ:
        return Path(os.environ["E2E_FUNCTION"]).absolute()
    with steps.step("build the function"):
        return function.build(run_folder / "asset", run_folder / "cargo-build.log")


@pytest.fixture(scope="session")
def deployment(emulator: Emulator, asset: Path, run_folder: Path, steps: Steps) -> Iterator[Deployment]:
    """The demo, bootstrapped and deployed; destroyed at the end if no scenario did it."""
    cdk = Cdk(emulator, asset, run_folder)
    deployment = Deployment(emulator, cdk)
    with steps.step("cdk bootstrap"):
        cdk.bootstrap()
    try:
        with steps.step("cdk deploy"):
            deployment.deploy()
        yield deployment
    finally:
        if deployment.is_deployed:
            with steps.step("cdk destroy"):
                deployment.destroy()


@pytest.fixture(scope="session")
def lambda_streams(run_folder: Path, steps: Steps) -> Path:
    """The crate's own program, whose event source mapping can do what the emulator's cannot."""
    if "E2E_LAMBDA_STREAMS" in os.environ:
        return Path(os.environ["E2E_LAMBDA_STREAMS"]).absolute()
    with steps.step("build the local event source mapping"):
        return local_mapping.build(run_folder / "cargo-build-local.log")


@pytest.fixture
def dead_letters(deployment: Deployment) -> Iterator[Queue]:
    """The dead-letter queue, empty before a scenario; one after which letters remain must say which."""
    queue = deployment.dead_letters()
    queue.take()
    yield queue
    left = queue.take()
    assert left == [], "the scenario took no notice of these dead letters"


# A user's stack with `idempotency`.


@pytest.fixture(scope="session")
def totals_program(run_folder: Path, steps: Steps) -> Path:
    """The function of the guide, built as the demo's is."""
    if "E2E_TOTALS" in os.environ:
        return Path(os.environ["E2E_TOTALS"]).absolute()
    with steps.step("build the guide's function"):
        return function.build_totals(run_folder / "totals-asset", run_folder / "cargo-build-totals.log")


@pytest.fixture(scope="module")
def totals(
    deployment: object, emulator: Emulator, totals_program: Path, run_folder: Path, steps: Steps
) -> Iterator[Totals]:
    """The stack of a user, next to the demo; destroyed at the end."""
    cdk = Cdk(emulator, totals_program, run_folder, TOTALS, TOTALS_STACK)
    totals = Totals(emulator, cdk, f"functionAsset={totals_program}", f"architecture={function.architecture()}")
    with steps.step("cdk deploy of a user's stack with idempotency"):
        totals.deploy()
    yield totals
    with steps.step("cdk destroy of a user's stack with idempotency"):
        totals.destroy()


# The local mapping in the place of the emulator's.


@pytest.fixture(scope="module")
def at_rest(deployment: Deployment, lambda_streams: Path) -> Iterator[None]:
    """The emulator's own mapping rests for this module; afterwards it goes over these records too, and so makes dead letters again."""
    with deployment.mapping_paused():
        yield
    deployment.settle()
    deployment.dead_letters().take()


@pytest.fixture
def settings(deployment: Deployment, at_rest: None) -> Iterator[MappingSettings]:
    settings = MappingSettings(deployment)
    yield settings
    settings.restore()


@pytest.fixture
def start(deployment: Deployment, lambda_streams: Path, run_folder: Path, settings: MappingSettings) -> Start:
    """Starts the local mapping with the settings of the deployed one as they are then."""
    return lambda *flags: LocalMapping(lambda_streams, deployment, run_folder, *flags)


@pytest.fixture
def discarded(deployment: Deployment) -> Callable[[], list[dict[str, Any]]]:
    """What has come into the bucket of discarded batches since the scenario began, with the key of each object."""
    bucket = deployment.outputs["DiscardedBatchesArn"].split(":")[-1]
    storage = deployment.client("s3")

    def objects() -> dict[str, dict[str, Any]]:
        pages = storage.get_paginator("list_objects_v2").paginate(Bucket=bucket)
        keys = [it["Key"] for page in pages for it in page.get("Contents", [])]
        return {key: {"key": key} | json.loads(storage.get_object(Bucket=bucket, Key=key)["Body"].read()) for key in keys}

    before = objects().keys()
    return lambda: [document for key, document in objects().items() if key not in before]


# What is shown while it runs: a line for each scenario; the table at the end.


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item):
    steps = item.config.stash[STEPS]
    with steps.step(title(item), is_long=False):
        return (yield)


def title(item: pytest.Item) -> str:
    """The first line of a scenario's documentation."""
    documentation = (getattr(item, "function", None) and item.function.__doc__) or item.name
    name = documentation.strip().splitlines()[0].rstrip(".")
    parameters = getattr(getattr(item, "callspec", None), "id", None)
    return f"{name} [{parameters}]" if parameters else name


def pytest_report_teststatus(report: pytest.TestReport):
    # The step's own line says it.
    if report.when == "call" and report.passed:
        return "passed", "", ""
    return None


def pytest_sessionstart(session: pytest.Session) -> None:
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    capture = session.config.pluginmanager.get_plugin("capturemanager")

    def print_line(line: str) -> None:
        with capture.global_and_fixture_disabled():
            reporter.ensure_newline()
            reporter.write_line(line, flush=True)

    session.config.stash[STEPS].print_line = print_line


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    terminalreporter.section("what it took")
    for row in config.stash[STEPS].table():
        terminalreporter.write_line(row)

"""The emulator and the deployed demo, once for all scenarios; what is started here is stopped here."""

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import function, local_mapping, paths
from harness.cdk import Cdk
from harness.deployment import Deployment
from harness.emulator import Emulator
from harness.queues import Queue
from harness.steps import Steps

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
    """The dead-letter queue, empty before a scenario; one that leaves letters behind must say which."""
    queue = deployment.dead_letters()
    queue.take()
    yield queue
    left = queue.take()
    assert left == [], "the scenario took no notice of these dead letters"


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

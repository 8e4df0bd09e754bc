"""The repository's own event source mapping, in place of the emulator's, which knows no partial responses."""

import os
import re
import signal
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from harness import paths, processes, wait
from harness.deployment import Deployment

# An outage here lasts seconds, where AWS waits up to a minute.
RETRY_SECONDS = 1


def build(log: Path) -> Path:
    """Builds the program, and says where it is."""
    command = [os.environ.get("CARGO", "cargo"), "build", "--locked", "-p", "lambda-streams-local", "--bin", "lambda-streams"]
    processes.run(command, log, cwd=paths.ROOT, env=os.environ, seconds=3600)
    return paths.TARGET / "debug" / "lambda-streams"


@dataclass
class Outcome:
    """How a run ended: its exit code, the numbers of its summary, and its warnings."""

    code: int
    read: int
    done: int
    discarded: int
    left: int
    invocations: int
    partial: int
    function_errors: int
    bisects: int
    documents: int
    warnings: list[str]

    @property
    def records(self) -> dict[str, int]:
        return {"read": self.read, "done": self.done, "discarded": self.discarded, "left": self.left}


class LocalMapping:
    """`lambda-streams run`, with the settings of the deployed mapping, the deployed function and the table's stream."""

    def __init__(self, program: Path, deployment: Deployment, folder: Path, *flags: str) -> None:
        number = len(list(folder.glob("local-mapping-*.log"))) + 1
        self.log = folder / f"local-mapping-{number}.log"
        self._summary = folder / f"local-mapping-{number}.summary"
        command = [
            program, "run", "--plain",
            "--from-deployed", deployment.function, "--function", deployment.function,
            "--on-failure-deployed",
            "--retry-max-delay", str(RETRY_SECONDS),
            *flags,
        ]  # fmt: skip
        with self.log.open("wb") as log, self._summary.open("wb") as summary:
            self._program = subprocess.Popen(
                command,
                env=deployment.emulator.environment() | {"SSL_CERT_FILE": str(deployment.emulator.certificate)},
                stdin=subprocess.DEVNULL,
                stdout=summary,
                stderr=log,
                start_new_session=True,
            )

    def __enter__(self) -> Self:
        """Waits until the stream is being read: what is written from now on is delivered."""
        self.wait_for(": reading")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        processes.end_group(self._program)

    def lines(self) -> list[str]:
        """What it said so far."""
        return self.log.read_text().splitlines()

    def wait_for(self, text: str, count: int = 1, seconds: float = 60) -> None:
        """Waits for that many lines with this text."""

        def said() -> bool:
            found = sum(text in line for line in self.lines())
            assert found >= count or self._program.poll() is None, f"it ended without {text!r}:\n{processes.tail(self.log)}"
            return found >= count

        wait.until(f"{count} x {text!r} in {self.log}", said, seconds)

    def finish(self, records: int, seconds: float = 120) -> Outcome:
        """Waits until so many records are dealt with, ends the run as Ctrl-C does, and returns what it came to."""

        def dealt_with() -> bool:
            count = self.dealt_with()
            assert count >= records or self._program.poll() is None, f"it ended early:\n{processes.tail(self.log)}"
            return count >= records

        wait.until(f"{records} records are dealt with; see {self.log}", dealt_with, seconds)
        self._program.send_signal(signal.SIGINT)
        return self._outcome(self._program.wait(60))

    def dealt_with(self) -> int:
        """How many records are done or discarded so far."""
        count, sent = 0, {}
        for line in self.lines():
            if found := re.search(r": #(\d+) sends (\d+) record", line):
                sent[found[1]] = int(found[2])
            elif found := re.search(r": #(\d+) done \(", line):
                count += sent[found[1]]
            elif found := re.search(r": #\d+ partial: (\d+) done|: (\d+) records? discarded", line):
                count += int(found[1] or found[2])
        return count

    def _outcome(self, code: int) -> Outcome:
        summary = self._summary.read_text()

        def number(pattern: str) -> int:
            found = re.search(pattern, summary)
            assert found, f"no {pattern!r} in the summary:\n{summary}\n{processes.tail(self.log)}"
            return int(found[1])

        return Outcome(
            code=code,
            read=number(r"(\d+) read"),
            done=number(r"(\d+) done"),
            discarded=number(r"(\d+) discarded"),
            left=number(r"(\d+) left"),
            invocations=number(r"invocations +(\d+)"),
            partial=number(r"(\d+) partial"),
            function_errors=number(r"(\d+) function errors"),
            bisects=number(r"bisects +(\d+)"),
            documents=number(r"(\d+) documents"),
            warnings=re.findall(r"^warning +(.*)$", summary, re.MULTILINE),
        )

    def most_at_once(self) -> int:
        """How many invocations were in flight at the same time, at most."""
        under_way = most = 0
        for line in self.lines():
            if re.search(r": #\d+ sends ", line):
                under_way += 1
            elif re.search(r": #\d+ ", line):
                under_way -= 1
            most = max(most, under_way)
        return most


class MappingSettings:
    """The deployed mapping's settings: changed for a scenario, as an operator changes them, and put back."""

    NAMES = (
        "BatchSize", "MaximumBatchingWindowInSeconds", "ParallelizationFactor", "MaximumRetryAttempts",
        "MaximumRecordAgeInSeconds", "BisectBatchOnFunctionError", "FunctionResponseTypes", "DestinationConfig",
    )  # fmt: skip

    def __init__(self, deployment: Deployment) -> None:
        self._client = deployment.client("lambda")
        self._id = deployment.mapping_id
        self.deployed = self.now()

    def now(self) -> dict[str, Any]:
        found = self._client.get_event_source_mapping(UUID=self._id)
        return {name: found[name] for name in self.NAMES if name in found}

    def change(self, **settings: Any) -> None:
        self._client.update_event_source_mapping(UUID=self._id, Enabled=False, **settings)
        found = self.now()
        assert {name: found.get(name) for name in settings} == settings

    def restore(self) -> None:
        self.change(**self.deployed)


# Starts one with the settings of the deployed mapping.
Start = Callable[..., LocalMapping]

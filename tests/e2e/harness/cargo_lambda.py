"""`cargo lambda`, as a user of the example types it."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from harness import paths, processes, wait

EXAMPLE = paths.ROOT / "examples" / "stream-processor"
# The README's program, with a handler that does what an order asks for.
ORDERS = paths.ROOT / "tests" / "e2e" / "function"
# The program of the guide on guards.
TOTALS = paths.ROOT / "tests" / "e2e" / "totals"
ADDRESS = "127.0.0.1"


def environment() -> dict[str, str]:
    """With `cargo-lambda` and its zig, which pip has put next to this Python."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return dict(os.environ) | {"PATH": path, "CARGO_TARGET_DIR": str(paths.TARGET)}


def build(folder: Path, log: Path, package: Path = EXAMPLE, program: str = "stream-processor") -> None:
    """`cargo lambda build --release`, with the program put into `folder`."""
    command = ["cargo", "lambda", "build", "--release", "--locked", "--lambda-dir", str(folder), "--flatten", program]
    processes.run(command, log, cwd=package, env=environment(), seconds=3600)


class Watch:
    """`cargo lambda watch`: the function on this machine, built again when its code changes."""

    def __init__(self, log: Path, variables: dict[str, str]) -> None:
        self.log = log
        self._port = str(processes.free_port())
        command = ["cargo", "lambda", "watch", "--locked", "--invoke-address", ADDRESS, "--invoke-port", self._port]
        # The function's alone: Cargo may need its own certificates.
        command += [word for name, value in variables.items() for word in ("--env-var", f"{name}={value}")]
        with log.open("wb") as output:
            self._program = subprocess.Popen(
                command,
                cwd=EXAMPLE,
                env=environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def __enter__(self) -> Self:
        """Waits until it listens. The function itself is built and started when it is invoked for the first time."""

        def listens() -> bool:
            assert self._program.poll() is None, f"`cargo lambda watch` ended:\n{processes.tail(self.log)}"
            with socket.socket() as client:
                return client.connect_ex((ADDRESS, int(self._port))) == 0

        try:
            wait.until(f"it listens; see {self.log}", listens)
        except BaseException:
            processes.end_group(self._program)
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        processes.end_group(self._program)

    def invoke(self, event: Path) -> tuple[int, str, str]:
        """`cargo lambda invoke`: its exit code, the answer, and what it says of an error."""
        command = ["cargo", "lambda", "invoke", "--invoke-address", ADDRESS, "--invoke-port", self._port]
        command += ["--data-file", str(event), "stream-processor"]
        ran = subprocess.run(
            command, cwd=EXAMPLE, env=environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=1800
        )
        return ran.returncode, ran.stdout, ran.stderr

    def lines(self) -> list[dict[str, Any]]:
        """What the function wrote."""
        return [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]

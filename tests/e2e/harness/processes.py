"""Programs that the harness runs: with a log each, and ended with all that they started."""

import os
import signal
import socket
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

LAST_LINES = 40


class ProgramFailed(Exception):
    """A program ended with an error; the message has the end of its log."""


def run(command: Sequence[str | os.PathLike[str]], log: Path, *, cwd: Path, env: Mapping[str, str], seconds: float) -> None:
    """Runs a program to its end, its output in `log`."""
    with log.open("ab") as output:
        program = subprocess.Popen(
            command, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            status = program.wait(seconds)
        except subprocess.TimeoutExpired:
            status = None
        finally:
            end_group(program)
    if status != 0:
        reason = f"did not end within {seconds:g} s" if status is None else f"ended with status {status}"
        raise ProgramFailed(f"`{' '.join(map(str, command))}` {reason}; the end of {log}:\n{tail(log)}")


def end_group(program: subprocess.Popen[bytes], grace: float = 10) -> None:
    """Ends a program that leads a process group of its own, and everything in that group."""
    for number, wait in [(signal.SIGTERM, grace), (signal.SIGKILL, grace)]:
        try:
            os.killpg(program.pid, number)
        except ProcessLookupError:
            break
        try:
            program.wait(wait)
        except subprocess.TimeoutExpired:
            continue
    # Reaps it where the group was gone already.
    program.wait(grace)


def running_from(folder: Path) -> list[int]:
    """The processes whose program is in a folder."""
    running = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            program = (process / "exe").readlink()
        except OSError:
            continue
        if program.is_relative_to(folder):
            running.append(int(process.name))
    return running


def tail(log: Path, lines: int = LAST_LINES) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])


def free_port(address: str = "127.0.0.1") -> int:
    """A port that was free a moment ago."""
    with socket.socket() as listener:
        listener.bind((address, 0))
        return listener.getsockname()[1]

"""The commands of `lambda-streams`, typed as a person on call types them: without anything but credentials in the environment."""

import shlex
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.emulator import Credentials, Emulator


@dataclass
class Ran:
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str

    def command(self) -> str:
        """The one command that was printed, as it is copied from there."""
        [line] = [line.strip() for line in self.out.splitlines() if line.startswith("  lambda-streams ")]
        return line


class Commands:
    """Runs the program, with journals in the folder of this run."""

    def __init__(self, program: Path, emulator: Emulator, folder: Path) -> None:
        self._program = program
        self._emulator = emulator
        self._state = folder / "commands-state"
        self._log = folder / "commands.log"

    def run(self, *arguments: str, keys: Credentials | None = None) -> Ran:
        """Runs one command to its end, as the account's root or as somebody else."""
        command = [self._program, *arguments, "--endpoint-url", self._emulator.endpoint]
        ran = subprocess.run(
            command, env=self._environment(keys), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120
        )
        with self._log.open("a") as log:
            log.write(f"$ {shlex.join(['lambda-streams', *arguments])}\n{ran.stderr}{ran.stdout}exit code {ran.returncode}\n\n")
        return Ran(ran.returncode, ran.stdout, ran.stderr)

    def typed(self, line: str, *more: str, keys: Credentials | None = None) -> Ran:
        """Runs a line that was printed, with these words after it."""
        program, *arguments = shlex.split(line)
        assert program == "lambda-streams"
        return self.run(*arguments, *more, keys=keys)

    def journals(self, command: str) -> list[Path]:
        """What runs of a command have left for the next ones."""
        return sorted(self._state.rglob(f"{command}-*.ndjson"))

    def _environment(self, keys: Credentials | None) -> Mapping[str, str]:
        # The flag alone leads to the emulator.
        environment = {name: value for name, value in self._emulator.environment().items() if "ENDPOINT_URL" not in name}
        own = {name.upper(): value for name, value in (keys or {}).items()}
        return environment | {"XDG_STATE_HOME": str(self._state)} | own

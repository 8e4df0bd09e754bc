"""The CDK's own command line, unmodified, against the emulator."""

import json
from pathlib import Path

from harness import function, paths, processes
from harness.emulator import ACCOUNT, ADDRESS, REGION, Emulator

STAGE = "e2e"
STACK = f"lambda-streams-{STAGE}"
BOOTSTRAP_STACK = "CDKToolkit"


class Cdk:
    """`cdk bootstrap`, `cdk deploy` and `cdk destroy` of the demo."""

    def __init__(self, emulator: Emulator, asset: Path, folder: Path) -> None:
        self._folder = folder
        self._program = paths.INFRA / "node_modules" / ".bin" / "cdk"
        self._environment = emulator.environment() | {
            "CDK_DISABLE_CLI_TELEMETRY": "1",
            "CDK_HOME": str(folder / "cdk-home"),
            "CI": "true",
            # The demo's documented configuration.
            "STAGE": STAGE,
            "PRODUCTION": "false",
            "ALLOWED_CIDRS": f"{ADDRESS}/32",
            "ARCHITECTURE": function.architecture(),
            "FUNCTION_ASSET": str(asset),
            "CLI_CREDENTIALS": "true",
            "API_ACCOUNT": "true",
        }

    def bootstrap(self) -> None:
        self._run("bootstrap", f"aws://{ACCOUNT}/{REGION}")

    def deploy(self, **changes: str) -> dict[str, str]:
        """Deploys both stacks, and returns the demo's outputs; `changes` are environment variables of the demo."""
        outputs = self._folder / "outputs.json"
        self._run("deploy", "--all", "--require-approval", "never", "--outputs-file", str(outputs), **changes)
        return json.loads(outputs.read_text())[STACK]

    def destroy(self) -> None:
        self._run("destroy", "--all", "--force")

    def synthesized(self) -> dict:
        """The demo's template, as the last command synthesized it."""
        return json.loads((self._folder / "cdk.out" / f"{STACK}.template.json").read_text())

    def _run(self, verb: str, *arguments: str, **changes: str) -> None:
        command = [self._program, verb, *arguments, "--output", str(self._folder / "cdk.out")]
        processes.run(
            command, self._folder / f"cdk-{verb}.log", cwd=paths.INFRA, env=self._environment | changes, seconds=600
        )

"""The CDK's own command line, unmodified, against the emulator: the demo's app, and a user's."""

import json
from pathlib import Path

from harness import function, paths, processes
from harness.emulator import ACCOUNT, ADDRESS, REGION, Emulator

STAGE = "e2e"
# Users' apps.
ORDERS = "examples/orders.ts"
ORDERS_STACK = "orders"
TOTALS = "examples/totals.ts"
TOTALS_STACK = "totals"
STACK = f"lambda-streams-{STAGE}"
BOOTSTRAP_STACK = "CDKToolkit"


class Cdk:
    """`cdk bootstrap`, `cdk deploy` and `cdk destroy` of an app; the demo's, unless another is named."""

    def __init__(self, emulator: Emulator, asset: Path, folder: Path, app: str | None = None, stack: str = STACK) -> None:
        self._folder = folder
        self._app = ["--app", f"npx --no-install tsx {app}"] if app else []
        self._stack = stack
        self._output = folder / (f"cdk.out-{stack}" if app else "cdk.out")
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

    def deploy(self, *context: str, **changes: str) -> dict[str, str]:
        """Deploys all stacks, and returns the outputs of the main one.

        What changes is given as the app is told: as context (`name=value`), or as environment variables.
        """
        outputs = self._folder / f"outputs-{self._stack}.json"
        options = [word for it in context for word in ("-c", it)]
        self._run("deploy", "--all", "--require-approval", "never", "--outputs-file", str(outputs), *options, **changes)
        return json.loads(outputs.read_text())[self._stack]

    def destroy(self, *context: str) -> None:
        self._run("destroy", "--all", "--force", *(word for it in context for word in ("-c", it)))

    def synthesized(self) -> dict:
        """The main stack's template, as the last command synthesized it."""
        return json.loads((self._output / f"{self._stack}.template.json").read_text())

    def _run(self, verb: str, *arguments: str, **changes: str) -> None:
        command = [self._program, verb, *arguments, *self._app, "--output", str(self._output)]
        processes.run(
            command, self._folder / f"cdk-{verb}.log", cwd=paths.INFRA, env=self._environment | changes, seconds=600
        )

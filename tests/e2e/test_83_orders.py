"""A user's stack with the README's function: every setting that the construct is given is seen to act."""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import function, paths, wait
from harness.cdk import ORDERS, ORDERS_STACK, Cdk
from harness.emulator import Emulator
from harness.orders import Orders, checkpoint
from harness.steps import Steps

HOUR = 3600
# What `infra-cdk/examples/orders.ts` says.
SETTINGS = {
    "LAMBDA_STREAMS_CONCURRENCY": "3",
    "LAMBDA_STREAMS_MAX_ATTEMPTS": "2",
    "LAMBDA_STREAMS_RETRY_BASE_MS": "1",
    "LAMBDA_STREAMS_RETRY_MAX_MS": "2",
    "LAMBDA_STREAMS_HANDLER_TIMEOUT_MS": "250",
    "LAMBDA_STREAMS_DEADLINE_MARGIN_MS": "5000",
    "LAMBDA_STREAMS_GIVE_UP_AFTER_SECONDS": "3600",
    "LAMBDA_STREAMS_REPORT_BATCH_ITEM_FAILURES": "true",
    "LAMBDA_STREAMS_LOG_LEVEL": "debug",
}


@pytest.fixture(scope="module")
def program(run_folder: Path, steps: Steps) -> Path:
    """The README's function, built as the demo's is."""
    with steps.step("build the README's function"):
        return function.build_orders(run_folder / "orders-asset", run_folder / "cargo-build-orders.log")


@pytest.fixture(scope="module")
def orders(deployment: object, emulator: Emulator, program: Path, run_folder: Path, steps: Steps) -> Iterator[Orders]:
    """The stack of a user, next to the demo; destroyed at the end."""
    cdk = Cdk(emulator, program, run_folder, ORDERS, ORDERS_STACK)
    orders = Orders(emulator, cdk, f"functionAsset={program}", f"architecture={function.architecture()}")
    with steps.step("cdk deploy of a user's stack"):
        orders.deploy()
    orders.pause_mapping()
    yield orders
    with steps.step("cdk destroy of a user's stack"):
        orders.destroy()


def aged(record: dict, seconds: int) -> dict:
    """The record as it was written that long ago."""
    changed = json.loads(json.dumps(record))
    changed["dynamodb"]["ApproximateCreationDateTime"] -= seconds
    return changed


def test_the_program_is_that_of_the_readme() -> None:
    """The function's `main` is that of the README."""

    def main_of(text: str) -> str:
        return re.search(r"#\[tokio::main.*?^}$", text, re.MULTILINE | re.DOTALL)[0]

    readme = (paths.ROOT / "README.md").read_text()
    assert main_of((paths.ROOT / "tests/e2e/function/src/main.rs").read_text()) == main_of(readme)


def test_the_environment(orders: Orders) -> None:
    """The construct writes the settings, the queue and the names of the metrics into the environment."""
    variables = orders.variables()
    assert {name: variables.get(name) for name in SETTINGS} == SETTINGS
    assert variables["DLQ_URL"] == orders.outputs["DeadLetterQueueUrl"]
    assert "TABLE_NAME" not in variables, "it is not ours"


def test_the_settings_act(orders: Orders) -> None:
    """Concurrency, attempts, delays, timeout and log level of the function are those of the construct."""
    logs = orders.logs()
    records = orders.place(*((f"many-{number:02}", "") for number in range(20)))
    assert orders.invoke(records) == {"batchItemFailures": []}
    created = wait.until("the orders are logged", lambda: logs.said("order created"))
    assert max(line["running"] for line in created) == 3
    assert len(logs.said("record succeeded")) == 20, "which is logged at the level debug"

    logs = orders.logs()
    [hanging] = orders.place(("hangs", "hang"))
    assert orders.invoke([hanging]) == checkpoint(hanging)
    failed = wait.until("the failures are logged", lambda: (lines := logs.said("record failed")) and len(lines) == 2 and lines)
    assert [line["error.type"] for line in failed] == ["timeout", "timeout"]
    assert [line["next"] for line in failed] == ["retried", "reported"]
    assert failed[0]["delay_ms"] <= 1


def test_the_give_up_age_acts(orders: Orders) -> None:
    """A record that fails is reported until its give-up age, and then goes to the construct's queue."""
    [failing] = orders.place(("fails", "fail"))
    assert orders.invoke([aged(failing, HOUR - 600)]) == checkpoint(failing)
    assert orders.dead_letters().waiting() == 0
    assert orders.invoke([aged(failing, HOUR + 600)]) == {"batchItemFailures": []}
    [letter] = orders.dead_letters().take_until(1)
    assert letter["record"]["dynamodb"]["Keys"] == {"id": {"S": "fails"}}
    assert letter["attempts"] == 2


def test_redrive_acts(orders: Orders) -> None:
    """A dead letter that is put into the construct's redrive queue is processed again by the same function."""
    [failing] = orders.place(("put-back", "fail"))
    assert orders.invoke([aged(failing, 2 * HOUR)]) == {"batchItemFailures": []}
    [letter] = orders.dead_letters().take_until(1)
    fixed = json.loads(letter["text"])
    fixed["record"]["dynamodb"]["NewImage"]["wish"] = {"S": ""}
    logs = orders.logs()
    redrive = orders.redrive_queue()
    orders.emulator.client("sqs").send_message(QueueUrl=redrive.url, MessageBody=json.dumps(fixed))
    wait.until("the order is created", lambda: logs.said("order created", order="put-back", source="redrive"))
    wait.until("its message is gone", lambda: redrive.waiting() == 0)


def test_metrics(orders: Orders) -> None:
    """The function writes the metrics that the construct's alarms watch, under the names that the construct gave it."""
    logs = orders.logs()
    orders.invoke(orders.place(("measured", "")))
    document = wait.until("metrics are written", lambda: [it for it in logs.metrics() if it.get("RecordsSucceeded") == 1])[0]
    variables = orders.variables()
    assert document["_aws"]["CloudWatchMetrics"][0]["Namespace"] == variables["POWERTOOLS_METRICS_NAMESPACE"]
    assert document["service"] == variables["POWERTOOLS_SERVICE_NAME"]
    alarms = orders.emulator.client("cloudwatch").describe_alarms()["MetricAlarms"]
    services = {dimension["Value"] for alarm in alarms for dimension in alarm.get("Dimensions", []) if dimension["Name"] == "service"}
    assert document["service"] in services


def test_driven_from_outside(orders: Orders, program: Path, lambda_streams: Path, run_folder: Path) -> None:
    """The same program under the local Runtime API, with the variables of the template, acts in the same way."""
    variables = template_variables(orders) | {"DLQ_URL": orders.outputs["DeadLetterQueueUrl"]}
    event = run_folder / "orders.json"
    event.write_text(json.dumps({"Records": orders.place(*((f"outside-{number}", "") for number in range(20)), ("outside", "hang"))}))
    log = run_folder / "orders-function.log"
    command = [lambda_streams, "invoke", event, "--bootstrap", program / "bootstrap", "--function-log", log]
    command += [word for name, value in variables.items() for word in ("--env", f"{name}={value}")]
    environment = orders.emulator.environment() | {"SSL_CERT_FILE": str(orders.emulator.certificate)}
    ran = subprocess.run(command, env=dict(os.environ) | environment, capture_output=True, text=True, timeout=120)
    lines = [json.loads(line[line.index("{") :]) for line in log.read_text().splitlines() if "{" in line]
    created = [line for line in lines if line.get("message") == "order created"]
    assert (len(created), max(line["running"] for line in created)) == (20, 3), ran.stderr
    failed = [line for line in lines if line.get("message") == "record failed"]
    assert [line["error.type"] for line in failed] == ["timeout", "timeout"]


def test_an_update(orders: Orders) -> None:
    """An update changes settings, mapping options and what production protects, and each acts; a second one takes it back."""
    database = orders.emulator.client("dynamodb")

    def is_protected() -> bool:
        return database.describe_table(TableName=orders.outputs["TableName"])["Table"].get("DeletionProtectionEnabled", False)

    before = orders.mapping()
    assert (before["BatchSize"], before["MaximumRecordAgeInSeconds"], is_protected()) == (50, 2 * HOUR, False)
    orders.deploy("concurrency=1", "batchSize=7", "maxRecordAgeHours=3", "production=true")
    changed = orders.mapping()
    assert changed["UUID"] == before["UUID"], "it was updated, not replaced"
    assert (changed["BatchSize"], changed["MaximumRecordAgeInSeconds"], is_protected()) == (7, 3 * HOUR, True)
    orders.pause_mapping()
    logs = orders.logs()
    orders.invoke(orders.place(*((f"one-by-one-{number}", "") for number in range(5))))
    created = wait.until("the orders are logged", lambda: (lines := logs.said("order created")) and len(lines) == 5 and lines)
    assert {line["running"] for line in created} == {1}

    orders.deploy()
    restored = orders.mapping()
    assert (restored["BatchSize"], restored["MaximumRecordAgeInSeconds"], is_protected()) == (50, 2 * HOUR, False)
    orders.pause_mapping()


def template_variables(orders: Orders) -> dict[str, str]:
    """The variables of the synthesized template whose values are known before the deployment."""
    functions = [it for it in orders.cdk.synthesized()["Resources"].values() if it["Type"] == "AWS::Lambda::Function"]
    [variables] = [it["Properties"]["Environment"]["Variables"] for it in functions if "LAMBDA_STREAMS_CONCURRENCY" in json.dumps(it)]
    return {name: value for name, value in variables.items() if isinstance(value, str) and name != "GLIBC_TUNABLES"}

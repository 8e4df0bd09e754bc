"""`cargo lambda watch` and `invoke` with the example, as its README has them; `cargo lambda build` has built what is deployed."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness.cargo_lambda import EXAMPLE, Watch
from harness.emulator import Emulator
from harness.queues import Queue

EVENTS = EXAMPLE / "events"


@pytest.fixture(scope="module")
def queue(emulator: Emulator) -> Iterator[Queue]:
    client = emulator.client("sqs")
    url = client.create_queue(QueueName="cargo-lambda-dead-letters")["QueueUrl"]
    yield Queue(client, url)
    client.delete_queue(QueueUrl=url)


@pytest.fixture(scope="module")
def watch(emulator: Emulator, queue: Queue, run_folder: Path) -> Iterator[Watch]:
    # How the function reaches the emulator, and trusts it.
    names = ["AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"]
    variables = {name: emulator.environment()[name] for name in names}
    variables |= {"DLQ_URL": queue.url, "TABLE_NAME": "orders", "SSL_CERT_FILE": str(emulator.certificate)}
    with Watch(run_folder / "cargo-lambda-watch.log", variables) as watch:
        yield watch


def test_watch_and_invoke(watch: Watch) -> None:
    """`cargo lambda invoke` hands the README's event to the function that `cargo lambda watch` runs"""
    code, answer, error = watch.invoke(EVENTS / "insert.json")
    assert (code, json.loads(answer)) == (0, {"batchItemFailures": []}), error
    [line] = [line for line in watch.lines() if line.get("message") == "item created"]
    assert line["id"] == "order-1"


def test_dead_letter(watch: Watch, queue: Queue) -> None:
    """There, an item that does not decode becomes a dead letter"""
    code, answer, error = watch.invoke(EVENTS / "no-status.json")
    assert (code, json.loads(answer)) == (0, {"batchItemFailures": []}), error
    [letter] = queue.take_until(1)
    [record] = json.loads((EVENTS / "no-status.json").read_text())["Records"]
    assert letter["record"] == record
    assert letter["errorMessage"] == "`NewImage`: `status` is missing"


def test_no_stream_event(watch: Watch, tmp_path: Path) -> None:
    """There, an event of another shape is an error that says what it looked like"""
    odd = tmp_path / "odd.json"
    odd.write_text('{"hello": "world"}')
    code, _, error = watch.invoke(odd)
    assert code == 1
    assert "not the event of a DynamoDB stream" in error

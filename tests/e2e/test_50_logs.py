"""The log and the metrics, read and understood line by line as CloudWatch does."""

import json
from datetime import datetime

import pytest
from harness import wait
from harness.deployment import Deployment
from harness.logs import Line, Logs
from harness.queues import Queue


@pytest.fixture(scope="module")
def one_batch(deployment: Deployment) -> Logs:
    """The log of a batch with two good items, a bad one and a removal."""
    with deployment.mapping_paused():
        logs = deployment.logs()
        deployment.put("log-1", status="open")
        deployment.put("log-2", status="open")
        deployment.put("log-3", note="no status")
        deployment.delete("log-2")
    wait.until("the batch is done", lambda: logs.said("batch processed", total=4))
    deployment.dead_letters().take_until(1)
    return logs


def test_every_line_is_json(deployment: Deployment, one_batch: Logs) -> None:
    """Every line is one JSON object that says when, how bad, which invocation, which function and what."""
    lines = [line for line in one_batch.lines() if "_aws" not in line]
    assert len(lines) >= 5
    for line in lines:
        assert datetime.fromisoformat(line["timestamp"]).tzinfo is not None
        assert line["level"] in {"ERROR", "WARN", "INFO"}
        assert line["requestId"] in "\n".join(one_batch.messages())
        assert line["functionName"] == deployment.function
        assert isinstance(line["message"], str)


def test_the_summary(one_batch: Logs) -> None:
    """The summary of a batch counts it, and takes the level of what happened."""
    [batch] = one_batch.said("batch processed", total=4)
    of_kind = {name: batch[name] for name in ("inserted", "modified", "removed", "unreadable")}
    assert of_kind == {"inserted": 3, "modified": 0, "removed": 1, "unreadable": 0}
    outcomes = {name: batch[name] for name in ("succeeded", "failed", "dead_lettered", "reported", "held_back", "unfinished")}
    assert outcomes == {"succeeded": 3, "failed": 1, "dead_lettered": 1, "reported": 0, "held_back": 0, "unfinished": 0}
    assert batch["duration_ms"] > 0
    [failed] = one_batch.said("record failed")
    assert (failed["level"], failed["requestId"]) == ("WARN", batch["requestId"])
    assert failed["keys"] == "id,timestamp", "the names of the key, not its values"


def test_the_metrics(deployment: Deployment, one_batch: Logs) -> None:
    """The metrics of the batch are embedded in its log, with the dimensions that the alarms look at."""
    metrics = one_batch.metrics()
    metrics = [line for line in metrics if line["requestId"] == one_batch.said("batch processed", total=4)[0]["requestId"]]
    assert {line["service"] for line in metrics} == {service_name(deployment)}
    for line in metrics:
        check_embedded(line)
    assert total(metrics, "BatchSize") == 4
    assert total(metrics, "RecordsReceived") == 4
    assert total(metrics, "RecordsSucceeded") == 3
    assert total(metrics, "RecordsFailed") == 1
    assert total(metrics, "DeadLetters") == 1
    assert total(metrics, "DeadLetterSendFailures") == 0
    [by_error] = [line for line in metrics if "RecordsFailed" in line]
    assert by_error["error_kind"] == "decode"


def test_no_line_is_lost_to_another(deployment: Deployment, one_batch: Logs, dead_letters: Queue) -> None:
    """Every invocation in the log has its beginning, its summary and its end."""
    started = {message.split()[2] for message in one_batch.messages() if message.startswith("START ")}
    finished = {line["requestId"] for line in one_batch.said("batch processed")}
    ended = {message.split()[2] for message in one_batch.messages() if message.startswith("END ")}
    assert started == finished == ended


def check_embedded(line: Line) -> None:
    """The rules of the embedded metric format that CloudWatch drops a line for."""
    assert isinstance(line["_aws"]["Timestamp"], int)
    for directive in line["_aws"]["CloudWatchMetrics"]:
        assert directive["Namespace"] == "LambdaStreams"
        assert all(isinstance(line[name], str) for dimensions in directive["Dimensions"] for name in dimensions)
        assert 0 < len(directive["Metrics"]) <= 100
        for metric in directive["Metrics"]:
            values = line[metric["Name"]]
            values = values if isinstance(values, list) else [values]
            assert len(values) <= 100 and all(isinstance(value, int | float) for value in values)
    assert len(json.dumps(line)) < 256 * 1024


def total(metrics: list[Line], name: str) -> float:
    values = [line[name] for line in metrics if name in line]
    return sum(sum(value) if isinstance(value, list) else value for value in values)


def service_name(deployment: Deployment) -> str:
    configuration = deployment.client("lambda").get_function_configuration(FunctionName=deployment.function)
    return configuration["Environment"]["Variables"]["POWERTOOLS_SERVICE_NAME"]

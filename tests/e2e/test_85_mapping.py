"""The deployed mapping's settings at work, and the outcome of every record under them.

The emulator's own mapping rests. The crate's, `lambda-streams run`, takes its place: it reads the settings of the deployed one,
reads the real stream, invokes the deployed function, which has the real role and the real queue, and writes on-failure documents to
the deployed destination.
"""

import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from harness import outage, wait
from harness.deployment import Deployment, item
from harness.local_mapping import MappingSettings, Start
from harness.queues import Queue
from harness.stream import Record

# Below a minute AWS takes no age for a limit.
LEAST_AGE_SECONDS = 60


@pytest.fixture(scope="module")
def ageing(deployment: Deployment) -> Iterator[tuple[str, float]]:
    """A table whose stream has one record, and when it was written: it grows old while the other scenarios run."""
    database, table = deployment.client("dynamodb"), "e2e-ageing"
    database.create_table(
        TableName=table,
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}, {"AttributeName": "timestamp", "KeyType": "RANGE"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}, {"AttributeName": "timestamp", "AttributeType": "N"}],
        BillingMode="PAY_PER_REQUEST",
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    )
    database.put_item(TableName=table, Item=item("old", status="open"))
    yield table, time.monotonic()
    database.delete_table(TableName=table)


def of(records: list[Record], identifier: str) -> list[Record]:
    """The changes of the items whose id begins so, in stream order."""
    return [record for record in records if record["dynamodb"]["Keys"]["id"]["S"].startswith(identifier)]


def assert_letters_are(letters: list[dict[str, Any]], records: list[Record]) -> None:
    """Each record is one dead letter, whole, and there is no other."""
    whole = {record["eventID"]: record["dynamodb"] for record in records}
    assert sorted(letter["eventId"] for letter in letters) == sorted(whole)
    for letter in letters:
        assert without_time(letter["record"]["dynamodb"]) == without_time(whole[letter["eventId"]])


def without_time(change: dict[str, Any]) -> dict[str, Any]:
    """The SDK has rounded the creation time of what it read."""
    return {name: value for name, value in change.items() if name != "ApproximateCreationDateTime"}


def test_what_is_deployed_is_what_runs(
    deployment: Deployment, start: Start, settings: MappingSettings, ageing: tuple[str, float]
) -> None:
    """The local mapping runs with the documented settings, read from the deployed mapping"""
    logs = deployment.logs()
    with start() as mapping:
        deployment.put("settings-1", status="open")
        outcome = mapping.finish(1)
    said = "\n".join(mapping.lines())
    documented = "batches of 100, 10 at once, retries without limit, record age 43200 s, bisect on, ReportBatchItemFailures on"
    assert f"mapping   {documented}" in said
    assert f"failures  {deployment.outputs['DiscardedBatchesArn']}" in said
    assert f"source    {deployment.outputs['StreamArn']} (NEW_AND_OLD_IMAGES)" in said
    assert settings.deployed["MaximumBatchingWindowInSeconds"] == 5
    assert (outcome.code, outcome.records) == (0, {"read": 1, "done": 1, "discarded": 0, "left": 0})
    assert len(logs.said("item created", id="settings-1")) == 1


def test_order_per_item(deployment: Deployment, dead_letters: Queue, start: Start, settings: MappingSettings) -> None:
    """Ten batches of a shard at once, and the changes of each item in their order, each once"""
    # Several batches for each of the ten lanes.
    settings.change(BatchSize=10, MaximumBatchingWindowInSeconds=1)
    stream, logs = deployment.stream(), deployment.logs()
    with start() as mapping:
        for change in range(7):
            deployment.put_in_order(*(item(f"order-{number}", status=f"step-{change}") for number in range(40)))
        for number in range(40):
            deployment.delete(f"order-{number}")
        outcome = mapping.finish(320)
    assert (outcome.code, outcome.records) == (0, {"read": 320, "done": 320, "discarded": 0, "left": 0})
    assert mapping.most_at_once() > 1

    lines = [line for line in logs.lines() if line.get("message", "").startswith("item ")]
    # The log has a stream for each invocation; within it, the lines are in their order.
    seen = sorted(lines, key=lambda line: line["timestamp"])
    records = stream.read()
    for number in range(40):
        happened = [record["eventID"] for record in records if record["dynamodb"]["Keys"]["id"]["S"] == f"order-{number}"]
        assert len(happened) == 8
        assert [line["eventId"] for line in seen if line["id"] == f"order-{number}"] == happened


def test_outage_of_the_queue(deployment: Deployment, dead_letters: Queue, start: Start, settings: MappingSettings) -> None:
    """The queue denies: records are reported and delivered again, nothing overtakes them, and once it is back nothing was lost"""
    settings.change(MaximumBatchingWindowInSeconds=1)
    stream, logs = deployment.stream(), deployment.logs()
    good, bad = [f"outage-good-{number}" for number in range(20)], [f"outage-bad-{number}" for number in range(6)]
    with start() as mapping:
        with outage.queue_denies(deployment):
            deployment.put_in_order(*(item(identifier, status="open") for identifier in good[:10]))
            # Two dead letters, the second for its old image, and a change after them that must wait for both.
            for changes in [{}, {"status": "open"}, {"status": "paid"}]:
                deployment.put_in_order(*(item(identifier, **changes) for identifier in bad))
            deployment.put_in_order(*(item(identifier, status="open") for identifier in good[10:]))
            mapping.wait_for("no progress: the checkpoint is", count=3)
            assert dead_letters.waiting() == 0
            assert logs.said("item changed") == [], "a change has overtaken one of its item that is not dealt with"
        letters = dead_letters.take_until(12)
        outcome = mapping.finish(38)
    assert (outcome.code, outcome.records) == (0, {"read": 38, "done": 38, "discarded": 0, "left": 0})
    assert outcome.partial > 0 and outcome.warnings == []

    records = of(stream.read(), "outage-bad-")
    assert_letters_are(letters, [record for record in records if "status" not in record["dynamodb"].get("OldImage", {})])
    assert {line["id"] for line in logs.said("item created")} == set(good)
    assert {line["id"] for line in logs.said("item changed")} == set(bad)


def test_bisect_and_the_bucket(
    deployment: Deployment, dead_letters: Queue, start: Start, settings: MappingSettings, discarded: Callable[[], list[dict]]
) -> None:
    """An invocation fails as a whole: bisecting finds the one record, the bucket gets it whole, and it can be put back"""
    settings.change(ParallelizationFactor=1, BatchSize=8, MaximumRetryAttempts=1)
    stream, logs = deployment.stream(), deployment.logs()
    fails_as_a_whole = outage.function_environment(deployment, LAMBDA_STREAMS_REPORT_BATCH_ITEM_FAILURES="false")
    with start() as mapping, outage.queue_denies(deployment), fails_as_a_whole:
        deployment.put_in_order(*(item(f"bisect-{n}", **({} if n == 5 else {"status": "open"})) for n in range(8)))
        outcome = mapping.finish(8)
    assert outcome.records == {"read": 8, "done": 7, "discarded": 1, "left": 0}
    assert (outcome.code, outcome.bisects, outcome.documents, outcome.warnings) == (1, 3, 1, [])
    assert {line["id"] for line in logs.said("item created")} == {f"bisect-{n}" for n in range(8) if n != 5}

    [poison] = of(stream.read(), "bisect-5")
    [document] = discarded()
    assert_is_of(document, deployment, [poison])
    assert document["requestContext"]["approximateInvokeCount"] == 2
    assert document["responseContext"] == {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"}
    folder = f"aws/lambda/{deployment.mapping_id}/{document['DDBStreamBatchInfo']['shardId']}/"
    assert re.fullmatch(re.escape(folder) + r"\d{4}/\d\d/\d\d/\d{4}-\d\d-\d\dT\d\d\.\d\d\.\d\d-[0-9a-f-]{36}", document["key"])

    # As the docs say: once the function works again, it is invoked with the object's payload.
    assert deployment.invoke_raw(event_of(document)) == {"batchItemFailures": []}
    assert_letters_are(dead_letters.take_until(1), [poison])


@pytest.mark.parametrize("kind", ["bucket", "queue", "topic"])
def test_retries_exhausted(
    deployment: Deployment,
    dead_letters: Queue,
    start: Start,
    settings: MappingSettings,
    discarded: Callable[[], list[dict]],
    kind: str,
) -> None:
    """Retries run out after a partial response: the rest of the batch is discarded, reported, and found again"""
    settings.change(ParallelizationFactor=1, BatchSize=4, MaximumRetryAttempts=2)
    stream = deployment.stream()
    with destination(deployment, kind, discarded) as (arn, documents):
        settings.change(DestinationConfig={"OnFailure": {"Destination": arn}})
        with start() as mapping, outage.queue_denies(deployment):
            deployment.put_in_order(*(item(f"{kind}-{n}", **({} if n == 1 else {"status": "open"})) for n in range(4)))
            outcome = mapping.finish(4)
        [document] = documents()
    assert outcome.records == {"read": 4, "done": 1, "discarded": 3, "left": 0}
    assert (outcome.code, outcome.partial, outcome.bisects, outcome.documents) == (1, 4, 0, 1)

    records = of(stream.read(), f"{kind}-")
    assert_is_of(document, deployment, records[1:], with_payload=kind == "bucket")
    assert document["requestContext"]["approximateInvokeCount"] == 3
    assert document["responseContext"] == {"statusCode": 200, "executedVersion": "$LATEST", "functionError": None}
    event = event_of(document) if kind == "bucket" else {"Records": records[1:]}
    assert deployment.invoke_raw(event) == {"batchItemFailures": []}
    assert_letters_are(dead_letters.take_until(1), [records[1]])


def test_function_that_does_not_start(deployment: Deployment, start: Start, settings: MappingSettings) -> None:
    """A deployment breaks the function: the deployed retries outlast it, and nothing was lost"""
    settings.change(MaximumBatchingWindowInSeconds=1)
    logs = deployment.logs()
    with start() as mapping:
        with outage.function_environment(deployment, LAMBDA_STREAMS_CONCURRENCY="none"):
            deployment.put_in_order(*(item(f"broken-{number}", status="open") for number in range(8)))
            mapping.wait_for("function error", count=3)
            assert logs.said("item created") == []
        outcome = mapping.finish(8)
    assert (outcome.code, outcome.records) == (0, {"read": 8, "done": 8, "discarded": 0, "left": 0})
    assert {line["id"] for line in logs.said("item created")} == {f"broken-{number}" for number in range(8)}


def test_record_age(
    deployment: Deployment,
    start: Start,
    settings: MappingSettings,
    discarded: Callable[[], list[dict]],
    ageing: tuple[str, float],
) -> None:
    """A record grows too old: the bucket gets it before the function does, and what is after it continues"""
    table, written = ageing
    wait.until("the record is old enough", lambda: time.monotonic() > written + LEAST_AGE_SECONDS + 1, LEAST_AGE_SECONDS + 10)
    settings.change(MaximumRecordAgeInSeconds=LEAST_AGE_SECONDS, MaximumBatchingWindowInSeconds=0)
    logs = deployment.logs()
    deployment.client("dynamodb").put_item(TableName=table, Item=item("fresh", status="open"))
    with start("--table", table, "--starting-position", "trim-horizon") as mapping:
        outcome = mapping.finish(2)
    assert (outcome.code, outcome.records) == (1, {"read": 2, "done": 1, "discarded": 1, "left": 0})
    created = lambda: [line["id"] for line in logs.said("item created")]  # noqa: E731
    assert created() == ["fresh"]

    [document] = discarded()
    assert document["requestContext"]["condition"] == "RecordAgeExceeded"
    assert "responseContext" not in document
    assert document["DDBStreamBatchInfo"]["batchSize"] == 1
    assert deployment.invoke_raw(event_of(document)) == {"batchItemFailures": []}
    assert created() == ["fresh", "old"]


def assert_is_of(document: dict[str, Any], deployment: Deployment, records: list[Record], with_payload: bool = True) -> None:
    """The on-failure document describes these records, in AWS's form."""
    numbers = [record["dynamodb"]["SequenceNumber"] for record in records]
    context, batch = document["requestContext"], document["DDBStreamBatchInfo"]
    assert context["condition"] == "RetryAttemptsExhausted"
    assert context["functionArn"].split(":")[6] == deployment.function
    assert (batch["startSequenceNumber"], batch["endSequenceNumber"]) == (numbers[0], numbers[-1])
    assert (batch["batchSize"], batch["streamArn"]) == (len(records), deployment.outputs["StreamArn"])
    assert document["version"] == "1.0"
    assert ("payload" in document) is with_payload
    if with_payload:
        found = [record["dynamodb"] for record in event_of(document)["Records"]]
        assert [without_time(it) for it in found] == [without_time(record["dynamodb"]) for record in records]


def event_of(document: dict[str, Any]) -> Any:
    """The event in the document of a bucket: AWS writes it as a JSON string."""
    assert isinstance(document["payload"], str)
    return json.loads(document["payload"])


@contextmanager
def destination(
    deployment: Deployment, kind: str, discarded: Callable[[], list[dict]]
) -> Iterator[tuple[str, Callable[[], list[dict]]]]:
    """A destination of that kind, and how to read what it got: the deployed bucket, or a queue or topic for the scenario."""
    if kind == "bucket":
        yield deployment.outputs["DiscardedBatchesArn"], discarded
        return
    queues, topics = deployment.client("sqs"), deployment.client("sns")
    url = queues.create_queue(QueueName="e2e-discarded")["QueueUrl"]
    arn = queues.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    read = lambda: [json.loads(it["text"]) for it in Queue(queues, url).take_until(1)]  # noqa: E731
    try:
        if kind == "queue":
            yield arn, read
            return
        topic = topics.create_topic(Name="e2e-discarded")["TopicArn"]
        allow = {"Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": arn}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
        queues.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
        try:
            topics.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes={"RawMessageDelivery": "true"})
            yield topic, read
        finally:
            topics.delete_topic(TopicArn=topic)
    finally:
        queues.delete_queue(QueueUrl=url)

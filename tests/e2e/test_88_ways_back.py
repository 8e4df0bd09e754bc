"""What ends outside the stream comes back by the commands that the construct's README names: `explain`, `replay`, `redrive`, `backfill`.

The commands run as a person on call runs them, against the deployed functions, queues, buckets and tables. In the demo, the crate's own
mapping gives batches up, as in `test_85_mapping.py`. The stack with `idempotency` has marks, and a cause that can be removed: a total
that is frozen.
"""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from harness import outage, paths, roles, wait
from harness.commands import Commands
from harness.deployment import Deployment, item
from harness.emulator import Emulator
from harness.local_mapping import MappingSettings, Start
from harness.queues import Queue
from harness.totals import Order, Totals

Discarded = Callable[[], list[dict[str, Any]]]


@pytest.fixture(scope="module")
def commands(lambda_streams: Path, emulator: Emulator, run_folder: Path) -> Commands:
    return Commands(lambda_streams, emulator, run_folder)


@pytest.fixture
def gives_up(deployment: Deployment, start: Start, settings: MappingSettings, discarded: Discarded) -> Callable[..., str]:
    """Has the deployed settings give up one batch of items, whole, because the function does not start. Returns the object's URL."""

    def give_up(*items: dict[str, Any]) -> str:
        settings.change(BatchSize=len(items), ParallelizationFactor=1, MaximumRetryAttempts=1, BisectBatchOnFunctionError=False)
        before = {it["key"] for it in discarded()}
        with outage.function_environment(deployment, LAMBDA_STREAMS_CONCURRENCY="none"), start() as mapping:
            deployment.put_in_order(*items)
            outcome = mapping.finish(len(items))
        assert outcome.records == {"read": len(items), "done": 0, "discarded": len(items), "left": 0}
        [key] = [it["key"] for it in discarded() if it["key"] not in before]
        return f"s3://{bucket(deployment)}/{key}"

    return give_up


def bucket(deployment: Deployment) -> str:
    return deployment.outputs["DiscardedBatchesArn"].split(":")[-1]


def arn(deployment: Deployment) -> str:
    return deployment.client("lambda").get_function_configuration(FunctionName=deployment.function)["FunctionArn"]


def created(logs: Any, source: str) -> list[str]:
    """The ids of the items that the demo's function has created out of records of this origin."""
    return [line["id"] for line in logs.said("item created", source=source)]


def test_a_discarded_batch(
    deployment: Deployment, gives_up: Callable[..., str], discarded: Discarded, commands: Commands
) -> None:
    """A discarded batch: `explain` prints the command that replays it, and deletes its object once all is done"""
    logs = deployment.logs()
    url = gives_up(*(item(f"replayed-{n}", status="open") for n in range(4)))
    explained = commands.run("explain", url)
    assert explained.code == 0, explained.err
    assert "on failure   the event source mapping gave up 4 records" in explained.out
    replay = explained.command()
    assert replay == f"lambda-streams replay {url} --function {arn(deployment)} --region us-east-1"

    listed = commands.typed(replay, "--dry-run")
    assert (listed.code, listed.err.count("error")) == (0, 0), listed.err
    assert f"{url}\n  4 of 4 records to send" in listed.out
    assert "nothing was sent" in listed.out and "replayed-" not in listed.out + listed.err

    # The cause is still there.
    with outage.function_environment(deployment, LAMBDA_STREAMS_CONCURRENCY="none"):
        failed = commands.typed(replay, "--attempts", "1")
    assert failed.code == 1, failed.out
    assert "4 records: 0 done, 4 failed, 0 held back, 0 left" in failed.out
    assert "LAMBDA_STREAMS_CONCURRENCY" in failed.out, "the reason is that of the function"
    assert len(discarded()) == 1, "nothing is deleted that is not done"
    assert created(logs, "replay") == []

    replayed = commands.typed(replay)
    assert replayed.code == 0, replayed.out + replayed.err
    assert "4 records: 4 done, 0 failed, 0 held back, 0 left" in replayed.out
    assert "1 document deleted, as all of their records are done" in replayed.out
    assert "the function says: 4 succeeded" in replayed.out
    assert created(logs, "replay") == [f"replayed-{n}" for n in range(4)]
    assert discarded() == []
    again = commands.typed(replay)
    assert (again.code, again.out) == (2, "")
    assert again.err.startswith(f"error: there is nothing at {url}: check the name, or everything was replayed")
    assert commands.journals("replay") == [], "nothing is left to be done, so nothing is noted"


def test_a_batch_that_is_done_in_part(
    deployment: Deployment,
    dead_letters: Queue,
    start: Start,
    settings: MappingSettings,
    discarded: Discarded,
    commands: Commands,
) -> None:
    """A replay ends with what fails again; the next one sends that alone, and its dead letter counts as done"""
    settings.change(ParallelizationFactor=1, BatchSize=4, MaximumRetryAttempts=1)
    logs = deployment.logs()
    with outage.queue_denies(deployment):
        with start() as mapping:
            deployment.put_in_order(*(item(f"in-part-{n}", **({} if n == 1 else {"status": "open"})) for n in range(4)))
            outcome = mapping.finish(4)
        assert outcome.records == {"read": 4, "done": 1, "discarded": 3, "left": 0}
        [document] = discarded()
        url = f"s3://{bucket(deployment)}/{document['key']}"
        replay = commands.run("explain", url).command()
        first = commands.typed(replay, "--attempts", "2")
    [poison, *_] = json.loads(document["payload"])["Records"]
    assert first.code == 1
    assert "3 records: 2 done, 1 failed, 0 held back, 0 left" in first.out
    assert f"  failed  {poison['dynamodb']['SequenceNumber']}: " in first.out
    assert f"what the function logged about each is in its log group: {deployment.outputs['FunctionLogGroup']}\n" in first.out
    assert created(logs, "replay") == ["in-part-2", "in-part-3"]
    assert len(discarded()) == 1 and len(commands.journals("replay")) == 1

    listed = commands.typed(replay, "--dry-run")
    assert f"{url}\n  1 of 3 records to send" in listed.out
    second = commands.typed(replay)
    assert second.code == 0, second.out + second.err
    assert "1 record: 1 done, 0 failed, 0 held back, 0 left" in second.out
    assert "the function says: 1 dead letter" in second.out
    [letter] = dead_letters.take_until(1)
    assert letter["record"]["eventID"] == poison["eventID"]
    assert created(logs, "replay") == ["in-part-2", "in-part-3"], "they are not sent twice"
    assert discarded() == [] and commands.journals("replay") == []


def test_items_that_have_changed_since(
    deployment: Deployment, gives_up: Callable[..., str], discarded: Discarded, commands: Commands
) -> None:
    """An item has changed since its batch was discarded: a script has to choose, and each choice does what it says"""
    logs = deployment.logs()
    url = gives_up(item("changed-since", status="open"), item("still-so", status="open"))
    deployment.put("changed-since", status="paid")
    replay = commands.run("explain", url).command()
    asked = commands.typed(replay)
    assert (asked.code, created(logs, "replay")) == (2, [])
    assert "1 of 2 items have changed since" in asked.err
    for choice in ("--stale process", "--stale skip", "--compare-with-table"):
        assert choice in asked.err
    # The demo's processor has no marks that could tell what is stale, and its mapping rests already.
    for choice, refusal in [
        (["--stale", "skip"], "this function keeps no marks"),
        (["--stale", "process", "--pause-mapping"], "is already disabled, and not by this command"),
    ]:
        refused = commands.typed(replay, *choice)
        assert (refused.code, created(logs, "replay")) == (2, []), refused.out
        assert refusal in refused.err
    assert len(discarded()) == 1

    compared = commands.typed(replay, "--compare-with-table", "--keep")
    assert compared.code == 0, compared.out + compared.err
    assert "1 record: 1 done" in compared.out and "1 record not sent, because" in compared.out
    assert created(logs, "replay") == ["still-so"]
    everything = commands.typed(replay, "--stale", "process", "--again")
    assert everything.code == 0, everything.out + everything.err
    assert created(logs, "replay") == ["still-so", "changed-since", "still-so"]
    assert discarded() == []


# What the README says that a person needs, by command.
REPLAY_ACTIONS = ["s3:ListBucket", "s3:GetObject", "s3:DeleteObject", "dynamodb:BatchGetItem"]
REDRIVE_ACTIONS = ["sqs:GetQueueUrl", "sqs:GetQueueAttributes", "sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility"]
FUNCTION_ACTIONS = ["lambda:GetFunctionConfiguration", "lambda:InvokeFunction"]
# Actions that AWS does not have: there, those of one message cover them.
OF_THE_EMULATOR = ["sqs:DeleteMessageBatch", "sqs:ChangeMessageVisibilityBatch"]


def allow(actions: list[str]) -> list[dict]:
    return [{"Effect": "Allow", "Action": actions, "Resource": "*"}]


def test_permissions(
    deployment: Deployment, gives_up: Callable[..., str], discarded: Discarded, commands: Commands
) -> None:
    """What is missing is one clear line and exit code 2; the permissions of the README are enough"""
    readme = (paths.INFRA / "README.md").read_text()
    assert [it for it in REPLAY_ACTIONS + REDRIVE_ACTIONS + FUNCTION_ACTIONS if f"`{it}`" not in readme] == []
    url = gives_up(item("permitted", status="open"))
    replay = commands.run("explain", url).command()
    logs = deployment.logs()
    missing = commands.run("replay", url, "--function", "no-such-function", "--any-function")
    other = commands.run("replay", url, "--function", deployment.on_demand_function)
    for refused, why in [(missing, "no-such-function"), (other, f"is of `{deployment.function}`")]:
        assert (refused.code, refused.out, len(refused.err.strip().splitlines())) == (2, "", refused.err.count("\n"))
        assert why in refused.err.splitlines()[-1], refused.err

    allowed = REPLAY_ACTIONS + FUNCTION_ACTIONS + ["kms:Decrypt"]
    for action in ["s3:ListBucket", "s3:GetObject", "lambda:GetFunctionConfiguration", "lambda:InvokeFunction", "dynamodb:BatchGetItem"]:
        with roles.caller(deployment, "e2e-on-call", allow([it for it in allowed if it != action])) as keys:
            denied = commands.typed(replay, keys=keys)
        assert denied.code == 2, f"without {action}: {denied}"
        assert denied.err.splitlines()[-1].startswith("error: "), denied.err
        assert action in denied.err.splitlines()[-1], denied.err
    assert created(logs, "replay") == [] and len(discarded()) == 1

    with roles.caller(deployment, "e2e-on-call", allow(allowed)) as keys:
        replayed = commands.typed(replay, keys=keys)
    assert replayed.code == 0, replayed.out + replayed.err
    assert created(logs, "replay") == ["permitted"] and discarded() == []


@pytest.fixture
def failed_invocations(deployment: Deployment) -> Iterator[Queue]:
    """The queue of failed invocations, and the configuration that leads to it, which the emulator's CloudFormation drops.

    Lambda tries an invocation once here: AWS waits minutes before the next try.
    """
    functions, queue = deployment.client("lambda"), Queue(deployment.client("sqs"), deployment.outputs["FailedInvocationsQueueUrl"])
    resources = deployment.cdk.synthesized()["Resources"].values()
    deployed = [it["Properties"]["DestinationConfig"] for it in resources if it["Type"] == "AWS::Lambda::EventInvokeConfig"]
    assert deployed and all("FailedInvocations" in json.dumps(it["OnFailure"]) for it in deployed)
    functions.put_function_event_invoke_config(
        FunctionName=deployment.function, MaximumRetryAttempts=0, DestinationConfig={"OnFailure": {"Destination": queue.arn()}}
    )
    yield queue
    functions.delete_function_event_invoke_config(FunctionName=deployment.function)


def test_a_document_invoked_asynchronously(
    deployment: Deployment,
    dead_letters: Queue,
    gives_up: Callable[..., str],
    discarded: Discarded,
    commands: Commands,
    failed_invocations: Queue,
) -> None:
    """An asynchronous invocation by a discarded batch fails if a record does: it is a failed invocation, and comes back from there"""
    failed = failed_invocations
    logs = deployment.logs()
    url = gives_up(item("asynchronous-good", status="open"), item("asynchronous-bad"))
    [document] = discarded()
    del document["key"]
    with outage.queue_denies(deployment):
        answer = deployment.client("lambda").invoke(
            FunctionName=deployment.function, InvocationType="Event", Payload=json.dumps(document)
        )
        assert answer["StatusCode"] == 202
        wait.until("the invocation has failed", lambda: failed.waiting() == 1)
    assert created(logs, "replay") == ["asynchronous-good"]

    replay = ["replay", "--queue", failed.url, "--function", deployment.function]
    listed = commands.run(*replay, "--dry-run")
    assert (listed.code, failed.waiting()) == (0, 1), listed.out + listed.err
    replayed = commands.run(*replay)
    assert (replayed.code, failed.waiting()) == (0, 0), replayed.out + replayed.err
    [letter] = dead_letters.take_until(1)
    assert letter["record"]["dynamodb"]["Keys"]["id"] == {"S": "asynchronous-bad"}
    # The object is still there, and its records are not done according to any journal.
    assert commands.run("replay", url, "--function", deployment.function).code == 0
    assert len(dead_letters.take_until(1)) == 1


def test_a_stretch_of_the_stream(deployment: Deployment, at_rest: None, commands: Commands) -> None:
    """A stretch of the stream is replayed, in its order"""
    time.sleep(1.1)  # The stream notes times of creation to the second.
    began = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    deployment.put_in_order(*(item(f"stretch-{n}", status="open") for n in range(3)))
    logs = deployment.logs()
    command = ["replay", "--table", deployment.table, "--from", began, "--until-idle", "2", "--function", deployment.function]
    listed = commands.run(*command, "--dry-run")
    assert listed.code == 0 and "nothing was sent" in listed.out, listed.err
    assert created(logs, "replay") == []
    replayed = commands.run(*command)
    assert replayed.code == 0, replayed.out + replayed.err
    assert "3 records: 3 done" in replayed.out
    assert created(logs, "replay") == [f"stretch-{n}" for n in range(3)]


@pytest.fixture
def old_table(deployment: Deployment) -> Iterator[str]:
    """A table without a stream, whose items were there before any function was."""
    database, table = deployment.client("dynamodb"), "e2e-before"
    database.create_table(
        TableName=table,
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}, {"AttributeName": "timestamp", "KeyType": "RANGE"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}, {"AttributeName": "timestamp", "AttributeType": "N"}],
        BillingMode="PAY_PER_REQUEST",
    )
    for number in range(7):
        database.put_item(TableName=table, Item=item(f"before-{number}", **({} if number == 3 else {"status": "open"})))
    yield table
    database.delete_table(TableName=table)


def test_backfill(deployment: Deployment, dead_letters: Queue, old_table: str, commands: Commands) -> None:
    """Items that are older than the function reach it as inserts of a backfill; one that does not decode is a dead letter"""
    logs = deployment.logs()
    command = ["backfill", "--table", old_table, "--function", deployment.function]
    listed = commands.run(*command, "--dry-run")
    assert listed.code == 0, listed.err
    assert "nothing was sent" in listed.out and old_table in listed.out
    assert logs.lines() == []

    filled = commands.run(*command, "--batch-size", "3")
    assert filled.code == 0, filled.out + filled.err
    assert "7 items: 7 done, 0 failed, 0 held back, 0 left" in filled.out
    assert "the function says: 6 succeeded, 1 dead letter" in filled.out
    assert sorted(created(logs, "backfill")) == [f"before-{n}" for n in range(7) if n != 3]
    assert {line["source"] for line in logs.said("batch processed")} == {"backfill"}
    [letter] = dead_letters.take_until(1)
    assert (letter["errorKind"], letter["attributes"]["eventKind"]) == ("decode", "INSERT")
    assert letter["eventId"].startswith("backfill-") and "sequenceNumber" not in letter
    assert commands.journals("backfill") == []


FROZEN = "frozen-account"


@pytest.fixture(scope="module")
def frozen(totals: Totals) -> tuple[list[Order], list[Order]]:
    """Orders that are added, and two that are dead letters because their customer's total is frozen."""
    totals.freeze(FROZEN)
    good = [Order(f"good-{n}", "ada-lovelace", 100 + n) for n in range(4)]
    poison = [Order(f"poison-{n}", FROZEN, 1000 + n) for n in range(2)]
    totals.write(*good, *poison)
    totals.settle()
    return good, poison


def test_redrive(totals: Totals, deployment: Deployment, frozen: tuple[list[Order], list[Order]], commands: Commands) -> None:
    """Dead letters come back by `redrive` once their cause is gone, and the queue is empty; what fails again stays"""
    good, poison = frozen
    queue = totals.dead_letters()
    wait.until("both are dead letters", lambda: queue.waiting() == 2)
    redrive = ["redrive", "--queue", queue.url, "--function", totals.function]
    listed = commands.run(*redrive, "--dry-run")
    assert (listed.code, queue.waiting()) == (0, 2), listed.err
    assert "2 dead letters: 2 handler" in listed.out and "nothing was sent" in listed.out
    other = commands.run("redrive", "--queue", queue.url, "--function", deployment.function)
    assert (other.code, queue.waiting()) == (1, 2), other.out + other.err
    assert f"2 letters of another function, {totals.function}: left where they are" in other.out
    nobody = commands.run("redrive", "--queue", queue.url, "--function", "no-such-function")
    nowhere = commands.run("redrive", "--queue", "no-such-queue", "--function", totals.function)
    for refused, name in [(nobody, "no-such-function"), (nowhere, "no-such-queue")]:
        assert refused.code == 2 and name in refused.err.splitlines()[-1], refused.err

    failed = commands.run(*redrive, "--attempts", "1")
    assert (failed.code, queue.waiting()) == (1, 2), failed.out
    assert "2 dead letters: 0 done, 2 failed" in failed.out

    totals.unfreeze(FROZEN)
    allowed = REDRIVE_ACTIONS + FUNCTION_ACTIONS + OF_THE_EMULATOR + ["kms:Decrypt"]
    for action in ["sqs:ReceiveMessage", "lambda:InvokeFunction"]:
        with roles.caller(deployment, "e2e-on-call", allow([it for it in allowed if it != action])) as keys:
            denied = commands.run(*redrive, keys=keys)
        assert (denied.code, queue.waiting()) == (2, 2), denied.out
        assert action in denied.err.splitlines()[-1], denied.err
    # A letter that is done and cannot be deleted is reported, and stays in the queue.
    with roles.caller(deployment, "e2e-on-call", allow([it for it in allowed if "DeleteMessage" not in it])) as keys:
        undeleted = commands.run(*redrive, keys=keys)
    assert (undeleted.code, queue.waiting()) == (1, 2), undeleted.out
    assert "2 dead letters: 2 done, 0 failed, 0 held back, 0 left" in undeleted.out
    assert "2 dead letters done, but not deleted" in undeleted.err and "allow sqs:DeleteMessage" in undeleted.err
    with roles.caller(deployment, "e2e-on-call", allow(allowed)) as keys:
        done = commands.run(*redrive, keys=keys)
    assert (done.code, queue.waiting()) == (0, 0), done.out + done.err
    assert "2 dead letters: 2 done, 0 failed, 0 held back, 0 left" in done.out
    assert totals.totals() == {"ada-lovelace": (406, 4), FROZEN: (2001, 2)}
    nothing = commands.run(*redrive)
    assert (nothing.code, totals.totals()[FROZEN]) == (0, (2001, 2)), nothing.out + nothing.err
    assert "0 dead letters" in nothing.out


def test_the_redrive_queue(totals: Totals, frozen: tuple[list[Order], list[Order]]) -> None:
    """The construct's redrive queue is the other way back: no program, and the function takes the letter itself"""
    totals.freeze("other-account")
    totals.write(Order("by-the-queue", "other-account", 7))
    [letter] = totals.dead_letters().take_until(1)
    totals.unfreeze("other-account")
    totals.put_back(letter["text"])
    assert totals.totals()["other-account"] == (7, 1)
    assert totals.dead_letters().waiting() == 0


def test_marks(totals: Totals, frozen: tuple[list[Order], list[Order]], commands: Commands) -> None:
    """With marks, `--stale skip` sends what came late to a function that tells it, and a replay of what is done adds nothing"""
    stream = ["replay", "--table", totals.outputs["TableName"], "--from", "1h", "--until-idle", "2", "--function", totals.function]
    before = totals.totals()
    mapping = lambda: totals.mapping()["State"]  # noqa: E731
    assert mapping() == "Enabled"
    for choice in (["--stale", "skip"], ["--stale", "process"], ["--stale", "skip", "--pause-mapping"]):
        replayed = commands.run(*stream, *choice, "--again")
        assert replayed.code == 0, f"{choice}: {replayed.out}{replayed.err}"
        assert "done already" in replayed.out, replayed.out
        assert totals.totals() == before
    assert "disabling" in replayed.err and mapping() == "Enabled"

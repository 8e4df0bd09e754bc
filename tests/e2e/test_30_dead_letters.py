"""Records that fail for good, the queue that takes them, and the way back."""

import json

from harness import roles, wait
from harness.deployment import Deployment
from harness.queues import Queue


def test_a_record_that_does_not_decode(deployment: Deployment, dead_letters: Queue) -> None:
    """An item that does not decode becomes one dead letter with the whole record, and its neighbours go on."""
    with deployment.mapping_paused():
        logs = deployment.logs()
        reader = deployment.stream()
        deployment.put("good-1", status="open")
        deployment.put("bad-1", note="no status", more="héllo \u2028 wörld")
        deployment.put("good-2", status="open")
        [_, written, _] = reader.read()
    [letter] = dead_letters.take_until(1)
    wait.until("the batch is logged", lambda: logs.said("batch processed", total=3))

    assert letter["record"] == written
    # The bytes are those that the function got: the emulator writes its payloads so.
    assert letter["text"].endswith(f'"record":{json.dumps(letter["record"])}}}')
    assert letter["errorKind"] == "decode"
    assert letter["errorMessage"] == "`NewImage`: `status` is missing"
    assert letter["sequenceNumber"] == written["dynamodb"]["SequenceNumber"]
    assert letter["eventId"] == written["eventID"]
    assert letter["attributes"] == {"errorKind": "decode", "eventKind": "INSERT", "table": deployment.table}
    assert [line["id"] for line in logs.said("item created")] == ["good-1", "good-2"]
    [batch] = logs.said("batch processed")
    assert (batch["succeeded"], batch["dead_lettered"], batch["reported"]) == (2, 1, 0)
    assert dead_letters.waiting() == 0, "one letter, once"
    assert "no status" not in "\n".join(logs.messages()), "the record's values are in the letter, and not in the log"


def test_a_queue_that_denies(deployment: Deployment, dead_letters: Queue) -> None:
    """The queue denies: the record is reported, nothing is lost, and it is delivered once the policy is back."""
    # The emulator's own mapping ignores what a function reports, and would continue after it. So this scenario is the mapping:
    # it reads the stream, and invokes from where the function said.
    arn = queue_arn(deployment)
    with deployment.mapping_paused():
        reader = deployment.stream()
        for name, attributes in [("before", {"status": "open"}), ("denied", {}), ("later", {"status": "open"})]:
            deployment.put(name, **attributes)
        records = reader.read()
        assert len(records) == 3
        checkpoint = {"batchItemFailures": [{"itemIdentifier": records[1]["dynamodb"]["SequenceNumber"]}]}

        with roles.without(deployment, deployment.role, "sqs:SendMessage", arn):
            logs = deployment.logs()
            assert deployment.invoke(records) == checkpoint
            assert deployment.invoke(records[1:]) == checkpoint, "it is still denied"
            assert dead_letters.waiting() == 0
        for failed in logs.said("record failed"):
            assert failed["next"] == "reported"
            assert "AccessDenied" in failed["dead_letter_error"]
            assert "grant the function sqs:SendMessage on the queue" in failed["dead_letter_error"]
        assert len(logs.said("record failed")) == 2
        assert [line["reported"] for line in logs.said("batch processed")] == [1, 1]
        assert sum(line.get("DeadLetterSendFailures", 0) for line in logs.metrics()) == 2

        logs = deployment.logs()
        assert deployment.invoke(records[1:]) == {"batchItemFailures": []}
        [letter] = dead_letters.take_until(1)
        assert letter["record"] == records[1]
        everything = wait.until("the last batch is logged", lambda: logs.said("batch processed"))
        assert everything[0]["succeeded"] + everything[0]["redelivered"] >= 1
    # The paused mapping delivers the same records now; what it makes of them is the other scenarios' matter.
    deployment.settle()
    dead_letters.take()


def test_putting_a_dead_letter_back(deployment: Deployment, dead_letters: Queue) -> None:
    """A dead letter that is moved to the redrive queue is processed again, and stays there if it fails again."""
    deployment.put("bad-2", note="no status")
    [letter] = dead_letters.take_until(1)
    mended = json.loads(letter["text"])
    mended["record"]["dynamodb"]["NewImage"]["status"] = {"S": "open"}
    mended["record"]["dynamodb"]["SequenceNumber"] += "0"
    queues = deployment.client("sqs")
    name = deployment.outputs["RedriveQueueArn"].split(":")[-1]
    redrive = Queue(queues, queues.get_queue_url(QueueName=name)["QueueUrl"])

    # What `start-message-move-task` does, which the emulator does not have.
    logs = deployment.logs()
    for body in (letter["text"], json.dumps(mended)):
        queues.send_message(QueueUrl=redrive.url, MessageBody=body)
    wait.until("both came back", lambda: sum(it["total"] for it in logs.said("batch processed", source="redrive")) >= 2)
    assert [line["id"] for line in logs.said("item created")] == ["bad-2"], "the fixed one is done"
    wait.until("the fixed one is gone", lambda: redrive.waiting() == 1)
    assert dead_letters.waiting() == 0, "what fails again is never sent a second time"
    queues.purge_queue(QueueUrl=redrive.url)


def queue_arn(deployment: Deployment) -> str:
    url = deployment.outputs["DeadLetterQueueUrl"]
    answer = deployment.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
    return answer["Attributes"]["QueueArn"]

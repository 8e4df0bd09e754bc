"""Changes of the table, from `put-item` to the function's log."""

from harness import wait
from harness.deployment import Deployment, item
from harness.queues import Queue

# What DynamoDB writes into the record of an item that its time to live expired (developer guide, "TTL and streams").
TTL_SERVICE = {"type": "Service", "principalId": "dynamodb.amazonaws.com"}


def test_insert_modify_remove(deployment: Deployment, dead_letters: Queue) -> None:
    """An item is put, changed and deleted: three lines, with names and no values."""
    logs = deployment.logs()
    deployment.put("order-1", status="open", note="pencils")
    wait.until("the insert is logged", lambda: logs.said("item created", id="order-1"))
    deployment.put("order-1", status="paid", paidBy="the-payer")
    wait.until("the change is logged", lambda: logs.said("item changed", id="order-1"))
    deployment.delete("order-1")
    wait.until("the removal is logged", lambda: logs.said("item removed", id="order-1"))

    lines = [line for line in logs.lines() if line.get("id") == "order-1"]
    assert [line["message"] for line in lines] == ["item created", "item changed", "item removed"]
    assert sorted(lines[1]["changedAttributes"].split(", ")) == ["note", "paidBy", "status"]
    assert lines[2]["expiredByTtl"] is False
    text = "\n".join(logs.messages())
    assert not any(value in text for value in ("pencils", '"paid"', "the-payer")), "no value of an attribute is logged"


def test_time_to_live(deployment: Deployment, dead_letters: Queue) -> None:
    """A removal by the time to live is told from one by a caller."""
    # The emulator writes no record when an item expires, so a real removal gets DynamoDB's mark here.
    with deployment.mapping_paused():
        reader = deployment.stream()
        for name in ("by-caller", "by-ttl"):
            deployment.put(name, status="open")
            deployment.delete(name)
        records = reader.read()
        removals = [record for record in records if record["eventName"] == "REMOVE"]
        assert [it["dynamodb"]["Keys"]["id"]["S"] for it in removals] == ["by-caller", "by-ttl"]
        removals[1]["userIdentity"] = TTL_SERVICE
        logs = deployment.logs()
        assert deployment.invoke(records) == {"batchItemFailures": []}
        expired = {line["id"]: line["expiredByTtl"] for line in logs.said("item removed")}
    assert expired == {"by-caller": False, "by-ttl": True}


def test_order_of_one_item(deployment: Deployment, dead_letters: Queue) -> None:
    """The changes of one item follow one another, also after one that takes longer because it fails."""
    with deployment.mapping_paused():
        logs = deployment.logs()
        deployment.put("order-2", status="open", step="0")
        # Without a status neither this change nor the next one decodes; both are dead letters, which take a call.
        deployment.put("order-2", step="1")
        deployment.put("order-2", status="open", step="2")
        for step in range(3, 10):
            deployment.put("order-2", status="open", **{f"step{step}": "done"})
        deployment.delete("order-2")
    wait.until("the removal is logged", lambda: logs.said("item removed", id="order-2"))

    [batch] = logs.said("batch processed", total=11)
    assert (batch["succeeded"], batch["dead_lettered"]) == (9, 2)
    of_item = {"item created", "item changed", "item removed", "record failed"}
    order = [line for line in logs.lines() if line.get("message") in of_item]
    messages = [line["message"] for line in order]
    assert messages == ["item created", "record failed", "record failed", *["item changed"] * 7, "item removed"]
    changed = [line["changedAttributes"] for line in order if line["message"] == "item changed"]
    assert [max(names.split(", ")) for names in changed] == ["step3", *[f"step{step}" for step in range(4, 10)]]

    letters = dead_letters.take_until(2)
    assert [letter["eventKind"] for letter in letters] == ["MODIFY", "MODIFY"]


def test_ten_thousand_items(deployment: Deployment, dead_letters: Queue) -> None:
    """Ten thousand items: each one is processed once, and each one that does not decode is one dead letter."""
    logs = deployment.logs()
    names = [f"bulk-{number:05}" for number in range(10_000)]
    bad = set(names[::100])
    deployment.put_many([item(name, **({} if name in bad else {"status": "open"}), note="x" * 200) for name in names])

    def totals() -> bool:
        return sum(line["total"] for line in logs.said("batch processed")) >= len(names)

    wait.until("all of them have gone through the function", totals, 300)
    created = [line["id"] for line in logs.said("item created")]
    assert sorted(created) == sorted(set(names) - bad)
    letters = dead_letters.take_until(len(bad))
    assert sorted(letter["record"]["dynamodb"]["Keys"]["id"]["S"] for letter in letters) == sorted(bad)
    batches = [line["total"] for line in logs.said("batch processed")]
    assert sum(batches) == len(names) and max(batches) <= 100

"""Changes of the table, from `put-item` to the function's log."""

from harness import wait
from harness.deployment import Deployment
from harness.queues import Queue


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
    assert not any(value in text for value in ("pencils", "paid\"", "the-payer")), "no value of an attribute is logged"

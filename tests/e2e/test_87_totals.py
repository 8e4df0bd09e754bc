"""A user's stack with `idempotency`: totals that stay exact while the function is killed, batches come twice and letters are put back.

The function is that of the guide on guards (`src/docs/idempotency_guards.md`). An order that wishes for a crash ends the process once its
transaction is answered: the handlers of other orders are at work then, and no mark of the batch's last orders is written. The emulator's
own mapping delivers the whole batch again, as AWS's does.
"""

import json
import re
import time
from fnmatch import fnmatchcase

import pytest
from harness import paths, roles, wait
from harness.stream import Record
from harness.totals import Order, Totals

DAY = 24 * 60 * 60
# What the crate says by default of marks and guards.
LIFE = 16 * DAY
CONSUMER = "order-totals"
CUSTOMERS = ["ada-lovelace", "grace-hopper", "emmy-noether", "sophie-germain"]
FROZEN = "frozen-customer"
# Two batches and a half. The function crashes in the first two; in the last, it sends a dead letter, which a crash would repeat.
GOOD = [Order(f"pencils-{n:03}", CUSTOMERS[n % 4], 7 * n + 1, "crash" if n in {30, 31, 77, 140} else "") for n in range(250)]
POISON = Order("poison-order", FROZEN, 4242)
ORDERS = [*GOOD[:220], POISON, *GOOD[220:]]
# Lines of the guide's handler.
GUIDE = [
    ".transact_items(self.guard.once(&change)?)",
    "let Err(error) = transaction.send().await else {",
    "match self.guard.outcome(&error, &change) {",
    "GuardOutcome::Done | GuardOutcome::Stale =>",
    "GuardOutcome::NotMine => Err(error).classify(),",
]


def sums(orders: list[Order]) -> dict[str, tuple[int, int]]:
    """Of each customer, the cents and how many orders they are of."""
    of = {name: [it.cents for it in orders if it.customer == name] for name in {it.customer for it in orders}}
    return {name: (sum(cents), len(cents)) for name, cents in of.items()}


@pytest.fixture(scope="module")
def written(totals: Totals) -> list[Record]:
    """All orders, which come in full batches; each is added or a dead letter by now. The stream's records of them."""
    totals.freeze(FROZEN)
    totals.pause_mapping()
    records = totals.write(*ORDERS)
    totals.resume_mapping()
    totals.settle()
    return records


def test_the_handler_is_that_of_the_guide() -> None:
    """The function makes its transaction, and judges its error, in the words of the guide."""
    for path in ("src/docs/idempotency_guards.md", "tests/e2e/totals/src/main.rs"):
        text = (paths.ROOT / path).read_text()
        assert [line for line in GUIDE if line not in text] == [], path


def test_the_table_and_the_variables(totals: Totals) -> None:
    """The construct makes a table for the rows, and tells the function its name and the consumer's."""
    name = totals.outputs["IdempotencyTableName"]
    table = totals.emulator.client("dynamodb").describe_table(TableName=name)["Table"]
    assert [(it["AttributeName"], it["KeyType"]) for it in table["KeySchema"]] == [("key", "HASH")]
    assert table["AttributeDefinitions"] == [{"AttributeName": "key", "AttributeType": "S"}]
    assert table["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
    variables = totals.variables()
    assert variables["LAMBDA_STREAMS_IDEMPOTENCY_TABLE"] == name
    assert variables["LAMBDA_STREAMS_CONSUMER"] == totals.outputs["Consumer"] == CONSUMER


def test_killed_at_work(totals: Totals, written: list[Record]) -> None:
    """The function is killed while it writes, batches are delivered again, and each total is exact."""
    assert len(written) == len(ORDERS)
    assert totals.totals() == sums(GOOD)
    refused = {line["order"] for line in totals.all_logs.said("order was added before")}
    killed = {it.id for it in GOOD if it.wish == "crash"}
    assert killed <= refused, "each of these orders was added, redelivered, and refused by its guard"


def test_rows(totals: Totals, written: list[Record]) -> None:
    """Each order has its mark, each order that is added the row of its guard, and no row has anything of an item."""
    marks, guards, streams = totals.rows("item"), totals.rows("record"), totals.rows("stream")
    assert (len(marks), len(guards), len(streams)) == (len(ORDERS), len(GOOD), 1)
    [of_poison] = [row for row in marks if "applied" not in row]
    assert set(of_poison) == {"key", "passed", "passed_at", "expires"}, "its dead letter passed, and nothing was applied"
    numbers = {record["dynamodb"]["SequenceNumber"].zfill(40) for record in written}
    assert {row["passed"]["S"] for row in marks} == numbers
    for row in marks:
        assert row is of_poison or set(row) == {"key", "passed", "passed_at", "applied", "expires"}
        assert row is of_poison or row["applied"] == row["passed"]
    assert all(set(row) == {"key", "expires"} for row in guards)
    assert set(streams[0]) == {"key", "began"}, "that row stays"
    for row in marks + guards:
        assert abs(int(row["expires"]["N"]) - (time.time() + LIFE)) < DAY / 24

    rows = totals.rows()
    assert all(re.fullmatch(rf"{CONSUMER}#(item|record|stream|checkpoint)#[0-9a-f]{{32}}", row["key"]["S"]) for row in rows)
    text = json.dumps(rows, default=repr)
    found = [word for it in ORDERS for word in (it.id, it.customer) if word in text]
    assert found == []


def test_the_role_reaches_these_rows_alone(totals: Totals, written: list[Record]) -> None:
    """The keys that the crate makes are those that the construct's statement allows, and those of another consumer are not."""
    [statement] = [it for it in totals.statements() if it.get("Sid") == "KeepWhatIsDone"]
    assert roles.as_list(statement["Resource"])[0].endswith(f":table/{totals.outputs['IdempotencyTableName']}")
    patterns = roles.as_list(statement["Condition"]["ForAllValues:StringLike"]["dynamodb:LeadingKeys"])

    def allowed(key: str) -> bool:
        return any(fnmatchcase(key, pattern) for pattern in patterns)

    assert all(allowed(row["key"]["S"]) for row in totals.rows())
    for other in ("order-totals-2", "order", "other"):
        assert not allowed(totals.rows()[0]["key"]["S"].replace(CONSUMER, other, 1))


def test_a_finished_batch_is_redelivered(totals: Totals, written: list[Record]) -> None:
    """A batch that is done, dead letter included, is delivered to another environment: all of it is already done."""
    again = written[130:230]
    assert [record["dynamodb"]["Keys"]["id"]["S"] for record in again].count(POISON.id) == 1
    before = totals.totals()
    logs = totals.logs()
    totals.new_environment()
    assert totals.invoke(again) == {"batchItemFailures": []}
    [batch] = wait.until("the batch is logged", lambda: logs.said("batch processed"))
    assert (batch["total"], batch["already_done"], batch["succeeded"], batch["dead_lettered"]) == (100, 100, 0, 0)
    assert sum(line.get("RecordsAlreadyDone", 0) for line in logs.metrics()) == 100
    assert logs.said("order was added before") == [], "no handler was asked"
    assert totals.totals() == before


def test_a_dead_letter_comes_back(totals: Totals, written: list[Record]) -> None:
    """The poison order is one dead letter; once its cause is gone it is added, once, though its letter is delivered twice."""
    [letter] = totals.dead_letters().take_until(1)
    assert letter["record"]["dynamodb"]["Keys"] == {"id": {"S": POISON.id}}
    assert letter["attributes"]["errorKind"] == "handler"
    assert totals.dead_letters().waiting() == 0
    assert FROZEN not in totals.totals()

    totals.unfreeze(FROZEN)
    logs = totals.logs()
    totals.put_back(letter["text"], letter["text"])
    assert totals.totals() == sums(ORDERS)
    # And once more, when the first two are long done.
    totals.put_back(letter["text"])
    assert totals.totals() == sums(ORDERS)
    wait.until("three letters are logged", lambda: sum(it["total"] for it in logs.said("batch processed", source="redrive")) >= 3)
    assert [line["order"] for line in logs.said("order added")] == [POISON.id]
    assert logs.said("batch processed", source="redrive")[-1]["already_done"] == 1

    assert len(totals.rows("record")) == len(ORDERS), "a guard for each order"
    marks = totals.rows("item")
    assert len(marks) == len(ORDERS) and all(row["applied"] == row["passed"] for row in marks)
    assert totals.dead_letters().waiting() == 0

"""A user's deployment with idempotency: the function of the guide on guards, in a stack of a user's own app."""

import time
from dataclasses import dataclass
from typing import Any

from harness import wait
from harness.cdk import Cdk
from harness.emulator import Emulator
from harness.orders import Orders
from harness.stream import Record, StreamReader

Row = dict[str, Any]


@dataclass(frozen=True)
class Order:
    id: str
    customer: str
    cents: int
    wish: str = ""


class Totals(Orders):
    """The stack `totals`, as `cdk deploy` left it."""

    def __init__(self, emulator: Emulator, cdk: Cdk, *context: str) -> None:
        super().__init__(emulator, cdk, *context)
        self._written: set[str] = set()

    def deploy(self, *context: str) -> None:
        super().deploy(*context)
        # The log since the first order.
        self.all_logs = self.logs()

    def write(self, *orders: Order) -> list[Record]:
        """Puts orders one after the other, and returns the stream's records of them."""
        table = self.outputs["TableName"]
        database = self.emulator.client("dynamodb")
        stream = database.describe_table(TableName=table)["Table"]["LatestStreamArn"]
        reader = StreamReader(self.emulator.client("dynamodbstreams"), stream)
        for it in orders:
            item = {"id": {"S": it.id}, "customer": {"S": it.customer}, "cents": {"N": str(it.cents)}, "wish": {"S": it.wish}}
            database.put_item(TableName=table, Item=item)
            self._written.add(it.id)
        return reader.read()

    def settle(self) -> None:
        """Returns when each order that is written so far has its mark: it is added, or a dead letter."""
        wait.until("each order is marked", lambda: len(self.rows("item")) == len(self._written), 300)

    def totals(self) -> dict[str, tuple[int, int]]:
        """Of each customer, the cents and how many orders they are of."""
        rows = {row["customer"]["S"]: row for row in self._scan("TotalsTableName")}
        return {name: (int(row["cents"]["N"]), int(row["orders"]["N"])) for name, row in rows.items() if "cents" in row}

    def freeze(self, customer: str) -> None:
        """Has the handler refuse the customer's orders."""
        row = {"customer": {"S": customer}, "frozen": {"BOOL": True}}
        self.emulator.client("dynamodb").put_item(TableName=self.outputs["TotalsTableName"], Item=row)

    def unfreeze(self, customer: str) -> None:
        self.emulator.client("dynamodb").update_item(
            TableName=self.outputs["TotalsTableName"], Key={"customer": {"S": customer}}, UpdateExpression="REMOVE frozen"
        )

    def new_environment(self) -> None:
        """Has the next invocation run in a new execution environment, as AWS does after a change of the configuration."""
        functions = self.emulator.client("lambda")
        functions.update_function_configuration(FunctionName=self.function, Description=f"changed at {time.time()}")
        wait.until("the function is updated", lambda: self.configuration()["LastUpdateStatus"] == "Successful")

    def rows(self, kind: str | None = None) -> list[Row]:
        """The rows of the idempotency table, or those of one kind: `item`, `record`, `stream` or `checkpoint`."""
        return [row for row in self._scan("IdempotencyTableName") if kind is None or row["key"]["S"].split("#")[1] == kind]

    def put_back(self, *letters: str) -> None:
        """Puts dead letters into the redrive queue, and returns when they are gone."""
        redrive = self.redrive_queue()
        for body in letters:
            self.emulator.client("sqs").send_message(QueueUrl=redrive.url, MessageBody=body)
        wait.until("the letters are processed", lambda: redrive.waiting() == 0)

    def statements(self) -> list[dict[str, Any]]:
        """What the function's role is allowed."""
        iam = self.emulator.client("iam")
        role = self.configuration()["Role"].rsplit("/", 1)[1]
        names = iam.list_role_policies(RoleName=role)["PolicyNames"]
        documents = [iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"] for name in names]
        return [statement for document in documents for statement in document["Statement"] if statement["Effect"] == "Allow"]

    def _scan(self, output: str) -> list[Row]:
        pages = self.emulator.client("dynamodb").get_paginator("scan").paginate(TableName=self.outputs[output], ConsistentRead=True)
        return [row for page in pages for row in page["Items"]]

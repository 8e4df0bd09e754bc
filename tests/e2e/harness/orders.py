"""A user's deployment: the README's function, in a stack of a user's own app."""

import json
from typing import Any

from harness import gaps
from harness.cdk import Cdk
from harness.emulator import Emulator
from harness.logs import Logs
from harness.queues import Queue
from harness.stream import Record, StreamReader

Wish = tuple[str, str]


class Orders:
    """The stack `orders`, as `cdk deploy` left it."""

    def __init__(self, emulator: Emulator, cdk: Cdk, *context: str) -> None:
        self.emulator = emulator
        self.cdk = cdk
        self._context = context

    def deploy(self, *context: str) -> None:
        """Deploys the stack for the first time or again, with these changes to its context."""
        self.outputs = self.cdk.deploy(*self._context, *context)
        self.function = self.outputs["FunctionName"]
        gaps.allow_batches(self.emulator, self.configuration()["Role"].rsplit("/", 1)[1])

    def destroy(self) -> None:
        storage = self.emulator.client("s3")
        bucket = self.outputs["DiscardedBatchesArn"].split(":")[-1]
        for page in storage.get_paginator("list_object_versions").paginate(Bucket=bucket):
            for it in page.get("Versions", []) + page.get("DeleteMarkers", []):
                storage.delete_object(Bucket=bucket, Key=it["Key"], VersionId=it["VersionId"])
        self.cdk.destroy(*self._context)

    def configuration(self) -> dict[str, Any]:
        return self.emulator.client("lambda").get_function_configuration(FunctionName=self.function)

    def variables(self) -> dict[str, str]:
        """The environment that the construct wrote."""
        return self.configuration()["Environment"]["Variables"]

    def mapping(self) -> dict[str, Any]:
        return self.emulator.client("lambda").get_event_source_mapping(UUID=self.outputs["MappingId"])

    def logs(self) -> Logs:
        """The function's log from now on."""
        return Logs(self.emulator.client("logs"), self.outputs["LogGroup"])

    def dead_letters(self) -> Queue:
        return Queue(self.emulator.client("sqs"), self.outputs["DeadLetterQueueUrl"])

    def redrive_queue(self) -> Queue:
        queues = self.emulator.client("sqs")
        name = self.outputs["RedriveQueueArn"].split(":")[-1]
        return Queue(queues, queues.get_queue_url(QueueName=name)["QueueUrl"])

    def place(self, *orders: Wish) -> list[Record]:
        """Puts orders, each with its id and its wish, and returns the stream's records of them."""
        table = self.outputs["TableName"]
        database = self.emulator.client("dynamodb")
        stream = database.describe_table(TableName=table)["Table"]["LatestStreamArn"]
        reader = StreamReader(self.emulator.client("dynamodbstreams"), stream)
        for identifier, wish in orders:
            database.put_item(TableName=table, Item={"id": {"S": identifier}, "wish": {"S": wish}})
        return reader.read()

    def invoke(self, records: list[Record]) -> Any:
        """Invokes the function as a mapping does, and returns what it answers."""
        answer = self.emulator.client("lambda").invoke(FunctionName=self.function, Payload=json.dumps({"Records": records}))
        return json.loads(answer["Payload"].read())

    def pause_mapping(self) -> None:
        """Has the emulator's own mapping rest: the scenarios invoke the function themselves."""
        self.emulator.client("lambda").update_event_source_mapping(UUID=self.outputs["MappingId"], Enabled=False)

    def resume_mapping(self) -> None:
        """Has the emulator's own mapping deliver what was written meanwhile, in full batches."""
        self.emulator.client("lambda").update_event_source_mapping(UUID=self.outputs["MappingId"], Enabled=True)


def checkpoint(record: Record) -> Any:
    return {"batchItemFailures": [{"itemIdentifier": record["dynamodb"]["SequenceNumber"]}]}

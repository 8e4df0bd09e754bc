"""The deployed demo: its outputs, and what every scenario does with it."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from harness import gaps, wait
from harness.cdk import BOOTSTRAP_STACK, STACK, Cdk
from harness.emulator import Credentials, Emulator
from harness.logs import Logs
from harness.queues import Queue
from harness.stream import Record, StreamReader

Item = dict[str, Any]

BATCH_WRITE = 25
WRITERS = 4


class Deployment:
    """The stack as `cdk deploy` left it."""

    def __init__(self, emulator: Emulator, cdk: Cdk) -> None:
        self.emulator = emulator
        self.cdk = cdk
        self.is_deployed = False
        self._settled = 0

    def deploy(self, **changes: str) -> None:
        """Deploys the stack for the first time or again."""
        self.is_deployed = True
        self.outputs = self.cdk.deploy(**changes)
        self.table = self.outputs["TableName"]
        self.function = self.outputs["FunctionName"]
        self.on_demand_function = self.outputs["OnDemandFunctionName"]
        self.mapping_id = self.outputs["MappingId"]
        self.api_id = self.outputs["ApiEndpoint"].split("//")[1].split(".")[0]
        self.role = self.role_of(self.function)
        self.on_demand_role = self.role_of(self.on_demand_function)
        gaps.put_validator_back(self.emulator, self.cdk.synthesized(), self.api_id)
        for role in (self.role, self.on_demand_role):
            gaps.allow_batches(self.emulator, role)

    def destroy(self) -> None:
        """Destroys both stacks; the bucket of discarded batches is emptied first, as the docs say."""
        self.empty_bucket(self.outputs["DiscardedBatchesArn"].split(":")[-1])
        self.cdk.destroy()
        self.is_deployed = False

    def destroy_toolkit(self) -> None:
        """Takes down what `cdk bootstrap` made, and its bucket, which that stack leaves on purpose."""
        formation = self.client("cloudformation")
        resources = formation.describe_stack_resources(StackName=BOOTSTRAP_STACK)["StackResources"]
        buckets = [it["PhysicalResourceId"] for it in resources if it["ResourceType"] == "AWS::S3::Bucket"]
        formation.delete_stack(StackName=BOOTSTRAP_STACK)
        formation.get_waiter("stack_delete_complete").wait(StackName=BOOTSTRAP_STACK, WaiterConfig={"Delay": 1, "MaxAttempts": 60})
        for bucket in buckets:
            self.empty_bucket(bucket)
            self.client("s3").delete_bucket(Bucket=bucket)

    def empty_bucket(self, bucket: str) -> None:
        storage = self.client("s3")
        for page in storage.get_paginator("list_object_versions").paginate(Bucket=bucket):
            for it in page.get("Versions", []) + page.get("DeleteMarkers", []):
                storage.delete_object(Bucket=bucket, Key=it["Key"], VersionId=it["VersionId"])
        for page in storage.get_paginator("list_objects_v2").paginate(Bucket=bucket):
            for it in page.get("Contents", []):
                storage.delete_object(Bucket=bucket, Key=it["Key"])

    def client(self, service: str, credentials: Credentials | None = None) -> Any:
        return self.emulator.client(service, credentials)

    def role_of(self, function: str) -> str:
        """The name of the function's role."""
        return self.client("lambda").get_function_configuration(FunctionName=function)["Role"].rsplit("/", 1)[1]

    def resources(self, kind: str) -> dict[str, str]:
        """The stack's resources of a type: the physical id of each by its logical id."""
        pages = self.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=STACK)
        found = [it for page in pages for it in page["StackResourceSummaries"]]
        return {it["LogicalResourceId"]: it["PhysicalResourceId"] for it in found if it["ResourceType"] == kind}

    # The table

    def put(self, identifier: str, timestamp: int = 1, **attributes: Any) -> None:
        """Puts an item with string attributes; `status` is what makes it a good one."""
        self.client("dynamodb").put_item(TableName=self.table, Item=item(identifier, timestamp, **attributes))

    def put_in_order(self, *items: Item) -> None:
        """Puts items one after the other."""
        for it in items:
            self.client("dynamodb").put_item(TableName=self.table, Item=it)

    def delete(self, identifier: str, timestamp: int = 1) -> None:
        key = {"id": {"S": identifier}, "timestamp": {"N": str(timestamp)}}
        self.client("dynamodb").delete_item(TableName=self.table, Key=key)

    def put_many(self, items: list[Item]) -> None:
        """Writes items in batches, several at once."""
        batches = [items[start : start + BATCH_WRITE] for start in range(0, len(items), BATCH_WRITE)]
        database = self.client("dynamodb")

        def write(batch: list[Item]) -> None:
            requests = {self.table: [{"PutRequest": {"Item": it}} for it in batch]}
            while requests:
                requests = database.batch_write_item(RequestItems=requests)["UnprocessedItems"]

        with ThreadPoolExecutor(WRITERS) as pool:
            list(pool.map(write, batches))

    # The stream

    def stream(self) -> StreamReader:
        """A reader of what is written from now on."""
        return StreamReader(self.client("dynamodbstreams"), self.outputs["StreamArn"])

    @contextmanager
    def mapping_paused(self) -> Iterator[None]:
        """Lets the emulator's own event source mapping rest; what is written meanwhile comes afterwards, in full batches."""
        self.settle()
        mappings = self.client("lambda")
        self._enable_mapping(mappings, False)
        try:
            yield
        finally:
            self._enable_mapping(mappings, True)

    def _enable_mapping(self, mappings: Any, enabled: bool) -> None:
        state = "Enabled" if enabled else "Disabled"
        mappings.update_event_source_mapping(UUID=self.mapping_id, Enabled=enabled)
        wait.until(f"the mapping is {state}", lambda: mappings.get_event_source_mapping(UUID=self.mapping_id)["State"] == state)

    def settle(self) -> None:
        """Returns when the function has seen all that is written so far: the stream has one order."""
        self._settled += 1
        name = f"settled-{self._settled}"
        logs = self.logs()
        self.put(name, status="open")
        wait.until("the function has seen everything", lambda: logs.said("item created", id=name))

    # The function

    def invoke(self, records: list[Record]) -> Any:
        """Invokes the function with records of the stream, and returns what it answers."""
        return self.invoke_raw({"Records": records})

    def invoke_raw(self, event: Any) -> Any:
        answer = self.client("lambda").invoke(FunctionName=self.function, Payload=json.dumps(event))
        payload = json.loads(answer["Payload"].read())
        if "FunctionError" in answer:
            raise InvocationFailed(payload)
        return payload

    def logs(self) -> Logs:
        """The stream function's log from now on."""
        return Logs(self.client("logs"), self.outputs["FunctionLogGroup"])

    def on_demand_logs(self) -> Logs:
        """The on-demand function's log from now on."""
        return Logs(self.client("logs"), self.outputs["OnDemandLogGroup"])

    # The queues

    def dead_letters(self) -> Queue:
        return Queue(self.client("sqs"), self.outputs["DeadLetterQueueUrl"])


class InvocationFailed(Exception):
    """The function answered an invocation with an error, which is the first argument."""


def item(identifier: str, timestamp: int = 1, **attributes: Any) -> Item:
    """An item as DynamoDB writes it; the further attributes are text."""
    texts = {name: {"S": str(value)} for name, value in attributes.items()}
    return {"id": {"S": identifier}, "timestamp": {"N": str(timestamp)}} | texts

"""What goes wrong in a deployed system: the queue's policy, the function's configuration; and back."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

from harness import wait
from harness.deployment import Deployment


@contextmanager
def queue_denies(deployment: Deployment) -> Iterator[None]:
    """The dead-letter queue's policy refuses messages from the function's role."""
    queues = deployment.client("sqs")
    url = deployment.outputs["DeadLetterQueueUrl"]
    found = queues.get_queue_attributes(QueueUrl=url, AttributeNames=["Policy", "QueueArn"])["Attributes"]
    policy = json.loads(found["Policy"])
    role = deployment.client("iam").get_role(RoleName=deployment.role)["Role"]["Arn"]
    deny = {
        "Sid": "Outage", "Effect": "Deny", "Principal": {"AWS": role}, "Resource": found["QueueArn"],
        # The star covers an action that only the emulator has.
        "Action": "sqs:SendMessage*",
    }  # fmt: skip

    def put(statements: list[dict]) -> None:
        document = json.dumps(policy | {"Statement": statements})
        queues.set_queue_attributes(QueueUrl=url, Attributes={"Policy": document})

    put([*policy["Statement"], deny])
    try:
        yield
    finally:
        put(policy["Statement"])


@contextmanager
def function_environment(deployment: Deployment, **variables: str) -> Iterator[None]:
    """The function has other environment variables, as after a deployment that went wrong."""
    functions = deployment.client("lambda")
    before = functions.get_function_configuration(FunctionName=deployment.function)["Environment"]["Variables"]

    def put(values: dict[str, str]) -> None:
        functions.update_function_configuration(FunctionName=deployment.function, Environment={"Variables": values})

        def is_there() -> bool:
            found = functions.get_function_configuration(FunctionName=deployment.function)
            return found["LastUpdateStatus"] == "Successful" and found["Environment"]["Variables"] == values

        wait.until("the function's environment is updated", is_there)

    put(before | variables)
    try:
        yield
    finally:
        put(before)

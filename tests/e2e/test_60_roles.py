"""What the functions' roles are allowed and denied: asked of IAM, and tried."""

from dataclasses import dataclass

import pytest
from botocore.exceptions import ClientError
from harness import roles
from harness.deployment import Deployment
from harness.emulator import ACCOUNT, REGION, Credentials, error_code
from harness.queues import Queue

# What the crate's store does with its table.
KEEP_WHAT_IS_DONE = ["dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"]


@dataclass
class Resources:
    """The ARNs of the stack, by what they are."""

    dead_letters: str
    failed_invocations: str
    redrive: str
    bucket: str
    table: str
    done: str
    stream: str
    own_logs: str
    other_logs: str


@pytest.fixture(scope="module")
def arns(deployment: Deployment) -> Resources:
    outputs = deployment.outputs

    def queue(url: str) -> str:
        return f"arn:aws:sqs:{REGION}:{ACCOUNT}:{url.rsplit('/', 1)[1]}"

    def stream_of(group: str) -> str:
        return f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{outputs[group]}:log-stream:one"

    return Resources(
        dead_letters=queue(outputs["DeadLetterQueueUrl"]),
        failed_invocations=queue(outputs["FailedInvocationsQueueUrl"]),
        redrive=outputs["RedriveQueueArn"],
        bucket=outputs["DiscardedBatchesArn"],
        table=f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{deployment.table}",
        done=f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{outputs['IdempotencyTableName']}",
        stream=outputs["StreamArn"],
        own_logs=stream_of("FunctionLogGroup"),
        other_logs=stream_of("OnDemandLogGroup"),
    )


def stream_role(arns: Resources) -> dict[str, set[tuple[str, str]]]:
    """Everything that the stream function's role may do (except for keys, below), and what it is often given too."""
    return {
        "allowed": {
            ("sqs:SendMessage", arns.dead_letters),
            ("sqs:GetQueueAttributes", arns.dead_letters),
            ("sqs:SendMessage", arns.failed_invocations),
            ("sqs:ReceiveMessage", arns.redrive),
            ("sqs:DeleteMessage", arns.redrive),
            ("sqs:GetQueueAttributes", arns.redrive),
            ("dynamodb:DescribeStream", arns.stream),
            ("dynamodb:GetRecords", arns.stream),
            ("dynamodb:GetShardIterator", arns.stream),
            ("dynamodb:ListStreams", arns.stream),
            *((action, arns.done) for action in KEEP_WHAT_IS_DONE),
            ("s3:PutObject", f"{arns.bucket}/batch"),
            ("s3:ListBucket", arns.bucket),
            ("logs:CreateLogStream", arns.own_logs),
            ("logs:PutLogEvents", arns.own_logs),
            ("xray:PutTraceSegments", "*"),
            ("xray:PutTelemetryRecords", "*"),
        },
        "denied": {
            ("sqs:ReceiveMessage", arns.dead_letters),
            ("sqs:DeleteMessage", arns.dead_letters),
            ("sqs:PurgeQueue", arns.dead_letters),
            ("sqs:SetQueueAttributes", arns.dead_letters),
            ("sqs:ReceiveMessage", arns.failed_invocations),
            ("sqs:SendMessage", arns.redrive),
            ("dynamodb:GetItem", arns.table),
            ("dynamodb:PutItem", arns.table),
            ("dynamodb:Scan", arns.table),
            ("dynamodb:Query", f"{arns.table}/index/status-timestamp-index"),
            ("dynamodb:DeleteItem", arns.done),
            ("dynamodb:Query", arns.done),
            ("dynamodb:Scan", arns.done),
            ("dynamodb:UpdateTimeToLive", arns.done),
            ("dynamodb:PutItem", f"{arns.done}-another"),
            ("dynamodb:GetRecords", arns.stream.replace(":table/", ":table/another-")),
            ("s3:GetObject", f"{arns.bucket}/batch"),
            ("s3:DeleteObject", f"{arns.bucket}/batch"),
            ("s3:PutObject", f"{arns.bucket}-another/batch"),
            ("logs:PutLogEvents", arns.other_logs),
            ("logs:CreateLogGroup", "*"),
            ("logs:GetLogEvents", arns.own_logs),
            ("cloudwatch:PutMetricData", "*"),
            ("lambda:InvokeFunction", "*"),
            ("kms:Decrypt", "*"),
            ("iam:PassRole", "*"),
            ("sts:AssumeRole", "*"),
        },
    }


def on_demand_role(arns: Resources) -> dict[str, set[tuple[str, str]]]:
    """The role of the API's function: neither the stream nor the bucket nor the dead letters, in or out, are its business."""
    of_stream = stream_role(arns)
    own = {("logs:CreateLogStream", arns.other_logs), ("logs:PutLogEvents", arns.other_logs)}
    shared = {it for it in of_stream["allowed"] if it[1] in (arns.failed_invocations, arns.done) or it[0].startswith("xray:")}
    return {
        "allowed": shared | own,
        "denied": (of_stream["allowed"] | of_stream["denied"]) - shared - own,
    }


@pytest.mark.parametrize(("role", "matrix"), [("role", stream_role), ("on_demand_role", on_demand_role)], ids=["stream", "on demand"])
def test_matrix(deployment: Deployment, arns: Resources, role: str, matrix) -> None:
    """IAM allows a role what it needs, and nothing else."""
    expected = {it: decision for decision, pairs in matrix(arns).items() for it in pairs}
    arn = f"arn:aws:iam::{ACCOUNT}:role/{getattr(deployment, role)}"
    found = {it: simulate(deployment, arn, *it) for it in expected}
    assert found == expected


def test_no_managed_policy(deployment: Deployment) -> None:
    """No role has a policy that somebody else writes, nor an action with a star, nor a resource but X-Ray's."""
    iam = deployment.client("iam")
    for role in (deployment.role, deployment.on_demand_role):
        assert iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"] == []
        for name in iam.list_role_policies(RoleName=role)["PolicyNames"]:
            for statement in iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]["Statement"]:
                actions = roles.as_list(statement["Action"])
                assert not any("*" in action for action in actions), statement
                anything = roles.as_list(statement["Resource"]) == ["*"]
                assert anything == all(action.startswith("xray:") for action in actions), statement


def test_who_may_be_it(deployment: Deployment) -> None:
    """Only Lambda may take a function's role, not even an administrator of the account."""
    everything = [{"Effect": "Allow", "Action": "*", "Resource": "*"}]
    with roles.caller(deployment, "e2e-administrator", everything) as administrator:
        for role in (deployment.role, deployment.on_demand_role):
            with pytest.raises(ClientError) as refused:
                roles.assume(deployment, role, administrator)
            assert error_code(refused.value) == "AccessDenied"


def test_tried_as_the_function(deployment: Deployment, arns: Resources, dead_letters: Queue) -> None:
    """Acting as the function, what it needs works, and the rest is AccessDenied."""
    with roles.acting_as(deployment, deployment.role) as keys:
        check_allowed(deployment, keys, dead_letters)
        check_denied(deployment, keys)
    [letter] = dead_letters.take_until(1)
    assert letter["text"] == "{}", "the one that was sent above"


def check_allowed(deployment: Deployment, keys: Credentials, dead_letters: Queue) -> None:
    queues = deployment.client("sqs", keys)
    queues.send_message(QueueUrl=dead_letters.url, MessageBody="{}")
    queues.get_queue_attributes(QueueUrl=dead_letters.url, AttributeNames=["MaximumMessageSize"])
    # A row of its own; that it is denied another's is not seen here, since the emulator does not tell IAM which rows a request names.
    own = {"key": {"S": f"{consumer(deployment)}#item#tried"}}
    answer = deployment.client("dynamodb", keys).get_item(TableName=deployment.outputs["IdempotencyTableName"], Key=own)
    assert "Item" not in answer
    # Not the stream: the emulator asks for leave to read any stream, which the role does not have.
    bucket = deployment.outputs["DiscardedBatchesArn"].rsplit(":", 1)[1]
    deployment.client("s3", keys).put_object(Bucket=bucket, Key="tried", Body=b"{}")


def check_denied(deployment: Deployment, keys: Credentials) -> None:
    queue = deployment.outputs["DeadLetterQueueUrl"]
    bucket = deployment.outputs["DiscardedBatchesArn"].rsplit(":", 1)[1]
    key = {"id": {"S": "order-1"}, "timestamp": {"N": "1"}}
    tries = [
        ("sqs", "receive_message", {"QueueUrl": queue}),
        ("sqs", "purge_queue", {"QueueUrl": queue}),
        ("sqs", "send_message", {"QueueUrl": redrive_url(deployment), "MessageBody": "{}"}),
        ("dynamodb", "get_item", {"TableName": deployment.table, "Key": key}),
        ("dynamodb", "put_item", {"TableName": deployment.table, "Item": key}),
        ("dynamodb", "scan", {"TableName": deployment.table}),
        ("dynamodb", "scan", {"TableName": deployment.outputs["IdempotencyTableName"]}),
        ("dynamodb", "delete_item", {"TableName": deployment.outputs["IdempotencyTableName"], "Key": {"key": {"S": "any"}}}),
        ("s3", "get_object", {"Bucket": bucket, "Key": "tried"}),
        ("s3", "delete_object", {"Bucket": bucket, "Key": "tried"}),
        ("logs", "describe_log_streams", {"logGroupName": deployment.outputs["OnDemandLogGroup"]}),
        ("lambda", "invoke", {"FunctionName": deployment.on_demand_function}),
        ("iam", "list_role_policies", {"RoleName": deployment.role}),
    ]
    for service, operation, arguments in tries:
        with pytest.raises(ClientError) as refused:
            getattr(deployment.client(service, keys), operation)(**arguments)
        assert error_code(refused.value) in {"AccessDenied", "AccessDeniedException"}, f"{service}.{operation}"


def consumer(deployment: Deployment) -> str:
    variables = deployment.client("lambda").get_function_configuration(FunctionName=deployment.function)["Environment"]["Variables"]
    return variables["LAMBDA_STREAMS_CONSUMER"]


def redrive_url(deployment: Deployment) -> str:
    name = deployment.outputs["RedriveQueueArn"].rsplit(":", 1)[1]
    return deployment.client("sqs").get_queue_url(QueueName=name)["QueueUrl"]


def simulate(deployment: Deployment, role: str, action: str, resource: str) -> str:
    """`allowed` or `denied`, as IAM's simulator says."""
    [result] = deployment.client("iam").simulate_principal_policy(
        PolicySourceArn=role, ActionNames=[action], ResourceArns=[resource]
    )["EvaluationResults"]
    return "allowed" if result["EvalDecision"] == "allowed" else "denied"

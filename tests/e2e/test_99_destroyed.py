"""The end: `cdk destroy` takes everything down."""

from collections.abc import Callable
from typing import Any

from harness.deployment import Deployment
from harness.emulator import Emulator

# What there is of each kind in the account: the call, and how its answer is read.
LISTS: dict[str, tuple[str, str, Callable[[Any], list[Any]]]] = {
    "tables": ("dynamodb", "list_tables", lambda it: it["TableNames"]),
    "queues": ("sqs", "list_queues", lambda it: it.get("QueueUrls", [])),
    "functions": ("lambda", "list_functions", lambda it: it["Functions"]),
    "mappings": ("lambda", "list_event_source_mappings", lambda it: it["EventSourceMappings"]),
    "roles": ("iam", "list_roles", lambda it: [role["RoleName"] for role in it["Roles"]]),
    "APIs": ("apigateway", "get_rest_apis", lambda it: it["items"]),
    "API keys": ("apigateway", "get_api_keys", lambda it: it["items"]),
    "usage plans": ("apigateway", "get_usage_plans", lambda it: it["items"]),
    "log groups": ("logs", "describe_log_groups", lambda it: it["logGroups"]),
    "alarms": ("cloudwatch", "describe_alarms", lambda it: it["MetricAlarms"]),
    "dashboards": ("cloudwatch", "list_dashboards", lambda it: it["DashboardEntries"]),
    "topics": ("sns", "list_topics", lambda it: it["Topics"]),
    "buckets": ("s3", "list_buckets", lambda it: [bucket["Name"] for bucket in it["Buckets"]]),
    "stacks": (
        "cloudformation",
        "describe_stacks",
        lambda it: [stack["StackName"] for stack in it["Stacks"] if stack["StackStatus"] != "DELETE_COMPLETE"],
    ),
}


def test_destroy_leaves_nothing(deployment: Deployment, emulator: Emulator) -> None:
    """`cdk destroy` leaves nothing except the role that the account's APIs write logs with, and the toolkit's stack goes too."""
    deployment.settle()
    before = left(emulator)
    assert all(before[kind] for kind in LISTS if kind not in {"topics"}), "there was something of each kind"
    deployment.destroy()
    deployment.destroy_toolkit()
    after = left(emulator)
    [log_role] = after.pop("roles")
    assert log_role.startswith("lambda-streams-api-account-")
    assert emulator.client("apigateway").get_account()["cloudwatchRoleArn"].endswith(f"/{log_role}")
    assert {kind: found for kind, found in after.items() if found} == {}
    keys = emulator.client("kms")
    states = [keys.describe_key(KeyId=it["KeyId"])["KeyMetadata"]["KeyState"] for it in keys.list_keys()["Keys"]]
    assert set(states) <= {"PendingDeletion"}, "a key is deleted after its waiting time"


def left(emulator: Emulator) -> dict[str, list[Any]]:
    return {kind: read(getattr(emulator.client(service), call)()) for kind, (service, call, read) in LISTS.items()}

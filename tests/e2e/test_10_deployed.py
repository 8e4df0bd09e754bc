"""What `cdk deploy` made, as far as the emulator keeps it: README.md says what only the template's own tests show."""

import pytest
from harness import function
from harness.deployment import Deployment

DAY = 24 * 60 * 60


def test_outputs(deployment: Deployment) -> None:
    """The stack names everything that a user needs."""
    assert set(deployment.outputs) == {
        "TableName",
        "StreamArn",
        "FunctionName",
        "FunctionLogGroup",
        "MappingId",
        "DeadLetterQueueUrl",
        "RedriveQueueArn",
        "FailedInvocationsQueueUrl",
        "DiscardedBatchesArn",
        "IdempotencyTableName",
        "OnDemandFunctionName",
        "OnDemandLogGroup",
        "ApiEndpoint",
        "ApiKeyId",
        "AccessLogGroup",
    }
    assert deployment.outputs["ApiEndpoint"].endswith(".amazonaws.com/v1/process")


def test_table(deployment: Deployment) -> None:
    """The table is what the design says, and its stream has both images."""
    table = deployment.client("dynamodb").describe_table(TableName=deployment.table)["Table"]
    keys = [("id", "HASH"), ("timestamp", "RANGE")]
    assert [(it["AttributeName"], it["KeyType"]) for it in table["KeySchema"]] == keys
    types = {it["AttributeName"]: it["AttributeType"] for it in table["AttributeDefinitions"]}
    assert types == {"id": "S", "timestamp": "N", "status": "S"}
    assert table["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
    assert table["StreamSpecification"] == {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
    assert table["LatestStreamArn"] == deployment.outputs["StreamArn"]
    [index] = table["GlobalSecondaryIndexes"]
    assert index["IndexName"] == "status-timestamp-index"
    assert [it["AttributeName"] for it in index["KeySchema"]] == ["status", "timestamp"]
    assert index["Projection"] == {"ProjectionType": "ALL"}
    assert table["DeletionProtectionEnabled"] is False, "development, not production"


def test_dead_letter_queue(deployment: Deployment) -> None:
    """The dead-letter queue keeps letters for 14 days, encrypted with a key that rotates."""
    queue = deployment.client("sqs").get_queue_attributes(
        QueueUrl=deployment.outputs["DeadLetterQueueUrl"], AttributeNames=["All"]
    )["Attributes"]
    assert int(queue["MessageRetentionPeriod"]) == 14 * DAY
    timeout = configuration(deployment)["Timeout"]
    assert int(queue["VisibilityTimeout"]) >= 6 * timeout
    keys = deployment.client("kms")
    assert keys.get_key_rotation_status(KeyId=queue["KmsMasterKeyId"])["KeyRotationEnabled"] is True


def test_function(deployment: Deployment) -> None:
    """The function is set up as the design says."""
    it = configuration(deployment)
    assert it["Runtime"] == "provided.al2023"
    assert it["Architectures"] == [function.architecture()]
    assert (it["MemorySize"], it["Timeout"]) == (1024, 60)
    assert it["TracingConfig"]["Mode"] == "Active"
    assert it["LoggingConfig"]["LogFormat"] == "JSON"
    assert it["LoggingConfig"]["LogGroup"] == deployment.outputs["FunctionLogGroup"]
    variables = it["Environment"]["Variables"]
    assert variables["DLQ_URL"] == deployment.outputs["DeadLetterQueueUrl"]
    assert variables["TABLE_NAME"] == deployment.table
    on_demand = deployment.client("lambda").get_function_configuration(FunctionName=deployment.on_demand_function)
    assert on_demand["CodeSha256"] == it["CodeSha256"], "one program for both"
    assert on_demand["Timeout"] < 29, "API Gateway's own limit"


def test_idempotency_table(deployment: Deployment) -> None:
    """What is done is kept in a table of its own, on demand, which both functions know as one consumer."""
    name = deployment.outputs["IdempotencyTableName"]
    table = deployment.client("dynamodb").describe_table(TableName=name)["Table"]
    assert [(it["AttributeName"], it["KeyType"]) for it in table["KeySchema"]] == [("key", "HASH")]
    assert table["AttributeDefinitions"] == [{"AttributeName": "key", "AttributeType": "S"}]
    assert table["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
    assert table["DeletionProtectionEnabled"] is False, "development, not production"
    of_functions = [
        deployment.client("lambda").get_function_configuration(FunctionName=it)["Environment"]["Variables"]
        for it in (deployment.function, deployment.on_demand_function)
    ]
    assert {it["LAMBDA_STREAMS_IDEMPOTENCY_TABLE"] for it in of_functions} == {name}
    [consumer] = {it["LAMBDA_STREAMS_CONSUMER"] for it in of_functions}
    assert consumer == of_functions[0]["POWERTOOLS_SERVICE_NAME"]


def test_mapping(deployment: Deployment) -> None:
    """The mapping reports partial batches, and the function was told so."""
    mapping = deployment.client("lambda").get_event_source_mapping(UUID=deployment.mapping_id)
    variables = configuration(deployment)["Environment"]["Variables"]
    assert mapping.get("FunctionResponseTypes") == ["ReportBatchItemFailures"]
    assert variables["LAMBDA_STREAMS_REPORT_BATCH_ITEM_FAILURES"] == "true"
    assert mapping["State"] == "Enabled"
    assert mapping["EventSourceArn"] == deployment.outputs["StreamArn"]
    assert mapping["FunctionArn"].endswith(f":{deployment.function}")
    assert (mapping["BatchSize"], mapping["MaximumBatchingWindowInSeconds"]) == (100, 5)
    assert mapping["ParallelizationFactor"] == 10
    assert mapping["BisectBatchOnFunctionError"] is True
    assert mapping["MaximumRecordAgeInSeconds"] == 12 * 60 * 60 > int(variables["LAMBDA_STREAMS_GIVE_UP_AFTER_SECONDS"])
    assert mapping.get("MaximumRetryAttempts", -1) == -1, "the record age ends the retries, not a count"
    assert mapping["DestinationConfig"]["OnFailure"]["Destination"] == deployment.outputs["DiscardedBatchesArn"]


@pytest.mark.parametrize("output", ["FunctionLogGroup", "OnDemandLogGroup", "AccessLogGroup"])
def test_log_group(deployment: Deployment, output: str) -> None:
    """A log group is encrypted, and is not kept forever."""
    name = deployment.outputs[output]
    groups = deployment.client("logs").describe_log_groups(logGroupNamePrefix=name)["logGroups"]
    [group] = [it for it in groups if it["logGroupName"] == name]
    assert group["retentionInDays"] == 30
    assert ":key/" in group["kmsKeyId"]


def configuration(deployment: Deployment) -> dict:
    return deployment.client("lambda").get_function_configuration(FunctionName=deployment.function)

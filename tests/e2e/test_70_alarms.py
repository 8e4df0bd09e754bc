"""Alarms and dashboard: that they are there, look at what exists, and go off."""

import json
from collections.abc import Iterator

import pytest
from harness import wait
from harness.deployment import Deployment, InvocationFailed
from harness.emulator import ACCOUNT, REGION
from harness.queues import Queue

ALARMS = {
    "BatchesDiscarded",
    "ClientErrors",
    "DeadLetterSendFailures",
    "DeadLettersExpiring",
    "DeadLettersWaiting",
    "DeadlineStops",
    "DestinationDeliveryFailures",
    "DurationNearTimeout",
    "FailedInvocationsWaiting",
    "FunctionErrors",
    "FunctionThrottles",
    "IteratorAge",
    "MappingStopped",
    "MarkFailures",
    "MarkRegressions",
    "RecordsDropped",
    "RedriveStuck",
    "ServerErrors",
}


@pytest.fixture(scope="module")
def alarms(deployment: Deployment) -> dict[str, dict]:
    """The stack's alarms, by what the design calls them."""
    names = list(deployment.resources("AWS::CloudWatch::Alarm").values())
    found = deployment.client("cloudwatch").describe_alarms(AlarmNames=names)["MetricAlarms"]
    return {next((it for it in ALARMS if it in alarm["AlarmName"]), alarm["AlarmName"]): alarm for alarm in found}


def test_alarms(deployment: Deployment, alarms: dict[str, dict]) -> None:
    """Every alarm of the design is there, says what to do, and tells the topic when it goes off and when it is over."""
    assert set(alarms) == ALARMS
    [topic] = deployment.resources("AWS::SNS::Topic").values()
    for name, alarm in alarms.items():
        assert alarm["AlarmActions"] == alarm["OKActions"] == [topic]
        # A mapping that does not poll has no metric.
        assert alarm["TreatMissingData"] == ("breaching" if name == "MappingStopped" else "notBreaching")
        assert alarm["AlarmDescription"].endswith(f"#{name.lower()}")


def test_what_alarms_look_at(deployment: Deployment, alarms: dict[str, dict]) -> None:
    """An alarm looks at the deployed function, queue or mapping, not at a name that nothing writes to."""
    dead_letters = deployment.outputs["DeadLetterQueueUrl"].rsplit("/", 1)[1]
    failed = deployment.outputs["FailedInvocationsQueueUrl"].rsplit("/", 1)[1]
    function = {"FunctionName": deployment.function}
    mapping = {"EventSourceMappingUUID": deployment.mapping_id}
    redrive = deployment.outputs["RedriveQueueArn"].rsplit(":", 1)[1]
    expected = {
        "DeadLettersWaiting": ("AWS/SQS", "ApproximateNumberOfMessagesVisible", {"QueueName": dead_letters}),
        "DeadLettersExpiring": ("AWS/SQS", "ApproximateAgeOfOldestMessage", {"QueueName": dead_letters}),
        "RedriveStuck": ("AWS/SQS", "ApproximateAgeOfOldestMessage", {"QueueName": redrive}),
        "FailedInvocationsWaiting": ("AWS/SQS", "ApproximateNumberOfMessagesVisible", {"QueueName": failed}),
        "FunctionErrors": ("AWS/Lambda", "Errors", function),
        "FunctionThrottles": ("AWS/Lambda", "Throttles", function),
        "IteratorAge": ("AWS/Lambda", "IteratorAge", function),
        "DurationNearTimeout": ("AWS/Lambda", "Duration", function),
        "DestinationDeliveryFailures": ("AWS/Lambda", "DestinationDeliveryFailures", function),
        "MappingStopped": ("AWS/Lambda", "PolledEventCount", mapping),
        "BatchesDiscarded": ("AWS/Lambda", "OnFailureDestinationDeliveredEventCount", mapping),
        "RecordsDropped": ("AWS/Lambda", "DroppedEventCount", mapping),
    }
    assert {name: looked_at(alarms[name]) for name in expected} == expected


def test_alarms_on_the_function_s_own_metrics(deployment: Deployment, alarms: dict[str, dict], dead_letters: Queue) -> None:
    """The alarms on the crate's metrics look at what the function really writes."""
    logs = deployment.logs()
    deployment.put("alarm-1", note="no status")
    dead_letters.take_until(1)
    wait.until("the batch is logged", lambda: logs.said("batch processed"))
    written = {
        (directive["Namespace"], metric["Name"], json.dumps({name: line[name] for name in dimensions}))
        for line in logs.metrics()
        for directive in line["_aws"]["CloudWatchMetrics"]
        for metric in directive["Metrics"]
        for dimensions in directive["Dimensions"]
    }
    for name in ("DeadLetterSendFailures", "DeadlineStops"):
        namespace, metric, dimensions = looked_at(alarms[name])
        assert (namespace, metric, json.dumps(dimensions)) in written


@pytest.fixture
def subscriber(deployment: Deployment) -> Iterator[Queue]:
    """A queue that gets what the alarm topic gets."""
    [topic] = deployment.resources("AWS::SNS::Topic").values()
    queues, topics = deployment.client("sqs"), deployment.client("sns")
    url = queues.create_queue(QueueName="e2e-alarms")["QueueUrl"]
    arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:e2e-alarms"
    statement = {"Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": arn}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    queues.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    subscription = topics.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)["SubscriptionArn"]
    yield Queue(queues, url)
    topics.unsubscribe(SubscriptionArn=subscription)
    queues.delete_queue(QueueUrl=url)


def test_an_alarm_goes_off(deployment: Deployment, alarms: dict[str, dict], subscriber: Queue) -> None:
    """An invocation that fails as a whole sets off the alarm for errors, and the topic hears of it."""
    errors = alarms["FunctionErrors"]
    # Alarms of the scenarios before are over.
    watch = deployment.client("cloudwatch")
    watch.set_alarm_state(AlarmName=errors["AlarmName"], StateValue="OK", StateReason="before the scenario")
    subscriber.take()
    with pytest.raises(InvocationFailed) as failed:
        deployment.invoke_raw({"not": "an event of a stream"})
    assert "is not the event of a DynamoDB stream" in failed.value.args[0]["errorMessage"]

    def state() -> str:
        # The emulator looks at its alarms when a metric is put.
        watch.put_metric_data(Namespace="e2e", MetricData=[{"MetricName": "Looked", "Value": 1}])
        return watch.describe_alarms(AlarmNames=[errors["AlarmName"]])["MetricAlarms"][0]["StateValue"]

    wait.until("the alarm goes off", lambda: state() == "ALARM")
    heard = []

    def told() -> bool:
        # Other alarms may go off in between.
        heard.extend(json.loads(it["Message"]) for it in subscriber.take())
        return any((it["AlarmName"], it["NewStateValue"]) == (errors["AlarmName"], "ALARM") for it in heard)

    wait.until("the topic hears of it", told)


def test_dashboard(deployment: Deployment, alarms: dict[str, dict]) -> None:
    """One dashboard shows the alarms, then everything in the order of a change's way."""
    [name] = deployment.resources("AWS::CloudWatch::Dashboard").values()
    body = json.loads(deployment.client("cloudwatch").get_dashboard(DashboardName=name)["DashboardBody"])
    [status] = [it for it in body["widgets"] if it["type"] == "alarm"]
    assert set(status["properties"]["alarms"]) == {alarm["AlarmArn"] for alarm in alarms.values()}
    titles = [it["properties"]["markdown"] for it in body["widgets"] if it["type"] == "text"]
    assert [title.split(". ")[0] for title in titles] == [f"## {number}" for number in range(1, 8)]
    text = json.dumps(body)
    for name in (deployment.table, deployment.function, deployment.mapping_id):
        assert name in text


def looked_at(alarm: dict) -> tuple[str, str, dict[str, str]]:
    return alarm["Namespace"], alarm["MetricName"], {it["Name"]: it["Value"] for it in alarm["Dimensions"]}

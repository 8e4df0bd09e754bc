"""The on-demand endpoint: what it does for those who may call it, and how it refuses the rest."""

import copy
import json
import re
from collections.abc import Iterator

import pytest
from harness import gaps, paths, roles, wait
from harness.api import Api
from harness.deployment import Deployment
from harness.emulator import ACCOUNT, ADDRESS, OTHER_ADDRESS, REGION
from harness.queues import Queue
from harness.stream import Record

FORBIDDEN = {"message": "Forbidden"}
# What API Gateway answers where no method is.
NO_METHOD = {"message": "Missing Authentication Token"}
LARGEST_BODY = 4 * 1024 * 1024


@pytest.fixture(scope="module")
def api(deployment: Deployment) -> Iterator[Api]:
    """The API, called by somebody who may post."""
    post = f"arn:aws:execute-api:{REGION}:{ACCOUNT}:{deployment.api_id}/v1/POST/process"
    allow = [{"Effect": "Allow", "Action": "execute-api:Invoke", "Resource": post}]
    with roles.caller(deployment, "e2e-caller", allow) as caller:
        yield Api(deployment, caller)


@pytest.fixture(scope="module")
def records(deployment: Deployment) -> list[Record]:
    """An insert, a change and a removal, as the stream had them."""
    with deployment.mapping_paused():
        reader = deployment.stream()
        deployment.put("api-1", status="open")
        deployment.put("api-1", status="paid")
        deployment.delete("api-1")
        read = reader.read()
    assert [record["eventName"] for record in read] == ["INSERT", "MODIFY", "REMOVE"]
    deployment.settle()
    return read


def test_status(api: Api, deployment: Deployment) -> None:
    """GET answers the version, the configuration and the counters since the start."""
    answer = api.get()
    assert answer.status == 200
    assert answer.body["functionName"] == deployment.on_demand_function
    assert answer.body["functionVersion"] == "$LATEST"
    configuration = answer.body["configuration"]
    assert configuration["tableName"] == deployment.table
    assert configuration["deadLetterQueue"] == deployment.outputs["DeadLetterQueueUrl"].rsplit("/", 1)[1]
    assert configuration["reportBatchItemFailures"] is True
    assert answer.body["counters"]["invocations"] >= 1


def test_records_are_processed(api: Api, deployment: Deployment, records: list[Record], dead_letters: Queue) -> None:
    """POST runs records through the processor, and answers with the outcome of each."""
    logs = deployment.on_demand_logs()
    before = api.get().body["counters"]["api"]["succeeded"]
    answer = api.post({"Records": records})
    assert answer.status == 200, answer.body
    assert (answer.body["total"], answer.body["succeeded"], answer.body["notSucceeded"]) == (3, 3, 0)
    outcomes = [(it["position"], it["eventId"], it["kind"], it["outcome"]) for it in answer.body["records"]]
    kinds = ["INSERT", "MODIFY", "REMOVE"]
    assert outcomes == [(n, records[n]["eventID"], kinds[n], "succeeded") for n in range(3)]
    said = [line for line in logs.lines() if line.get("id") == "api-1"]
    assert [line["message"] for line in said] == ["item created", "item changed", "item removed"]
    assert {line["source"] for line in said} == {"api"}
    assert api.get().body["counters"]["api"]["succeeded"] == before + 3


def test_the_documented_call(api: Api, deployment: Deployment) -> None:
    """The body that the README of infra-cdk posts is processed."""
    readme = (paths.INFRA / "README.md").read_text()
    [body] = re.findall(r"^ +-d '(\{.*\})' \\$", readme, re.MULTILINE)
    # What the shell puts there.
    body = re.sub(r"""'"\$\(output (\w+)\)"'""", lambda found: deployment.outputs[found[1]], body)
    answer = api.post(json.loads(body))
    assert (answer.status, answer.body.get("succeeded")) == (200, 1), answer


def test_an_empty_body(api: Api, deployment: Deployment) -> None:
    """An empty body is answered with who answers."""
    with gaps.absent_body_passes(deployment.emulator, deployment.cdk.synthesized(), deployment.api_id):
        answer = api.post()
    assert answer.status == 200, answer
    assert set(answer.body) == {"message", "requestId", "timestamp", "functionVersion"}
    assert api.post([]).status == 400, "the validator is back"


def test_forged_records(api: Api, deployment: Deployment, records: list[Record], dead_letters: Queue) -> None:
    """A made-up record is refused, and none of its neighbours is processed."""
    logs = deployment.on_demand_logs()
    elsewhere = copy.deepcopy(records[1])
    elsewhere["eventSourceARN"] = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/another/stream/2026-01-01T00:00:00.000"
    other_key = copy.deepcopy(records[1])
    other_key["dynamodb"]["Keys"]["id"] = {"S": "somebody-else"}
    undecodable = copy.deepcopy(records[1])
    del undecodable["dynamodb"]["NewImage"]["status"]
    for forged, reason in [
        (elsewhere, "`eventSourceARN` is not of a stream of the table"),
        (other_key, "`dynamodb.Keys` is not the key of the record's image"),
        (undecodable, "`status` is missing"),
    ]:
        answer = api.post({"Records": [records[0], forged, records[2]]})
        assert answer.status == 400, answer.body
        [refusal] = answer.body["records"]
        assert refusal["position"] == 1 and reason in refusal["error"], answer.body
    assert [line for line in logs.lines() if line.get("id")] == []


@pytest.mark.parametrize(
    "body",
    [
        {"Records": [{"eventName": "INSERT", "eventSource": "aws:sqs", "dynamodb": {}}]},
        {"Records": [], "requestContext": {}, "httpMethod": "GET"},
        {"Records": "all of them"},
        {"Records": [{}]},
        [],
    ],
    ids=["another source", "an API event", "text", "empty record", "a list"],
)
def test_what_the_model_refuses(api: Api, deployment: Deployment, body: object) -> None:
    """A payload that is not the event of a stream never reaches the function."""
    logs = deployment.on_demand_logs()
    answer = api.post(body)
    assert (answer.status, answer.body) == (400, {"message": "Invalid request body"})
    assert logs.messages() == [], "the API's validator refused it, not the function"


def test_another_content_type(api: Api, deployment: Deployment, records: list[Record]) -> None:
    """A body that does not say it is JSON is refused."""
    answer = api.post({"Records": records}, content_type="text/plain")
    assert answer.status == 415
    assert "application/json" in answer.body["message"]


def test_too_large(api: Api, records: list[Record]) -> None:
    """Too many records are refused by the API's model, and too large a body by the function."""
    answer = api.post({"Records": records * 34})
    assert (answer.status, answer.body["message"]) == (400, "Invalid request body")
    heavy = copy.deepcopy(records[0])
    heavy["dynamodb"]["NewImage"]["note"] = {"S": "x" * LARGEST_BODY}
    answer = api.post({"Records": [heavy]})
    assert answer.status == 413
    assert f"may have {LARGEST_BODY}" in answer.body["message"]


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_another_method(api: Api, method: str) -> None:
    """A method that the API does not have is refused by the API."""
    answer = api.call(method, b"{}", signed_by=None)
    assert (answer.status, answer.body) == (403, NO_METHOD)


def test_another_path(api: Api) -> None:
    """A path that the API does not have is refused by the API."""
    for path in ("", "processes", "process/1"):
        answer = api.get(path=path)
        assert (answer.status, answer.body) == (403, NO_METHOD)


@pytest.mark.parametrize("key", [None, "0" * 32], ids=["no key", "another key"])
def test_a_wrong_key(api: Api, deployment: Deployment, key: str | None) -> None:
    """Without the API's key nobody is let in."""
    logs = deployment.on_demand_logs()
    for answer in (api.get(key=key), api.post(key=key)):
        assert (answer.status, answer.body) == (403, FORBIDDEN)
    assert logs.messages() == []


def test_without_a_signature(api: Api, records: list[Record]) -> None:
    """The key alone does not let anybody post."""
    answer = api.post({"Records": records}, signed_by=None)
    assert (answer.status, answer.body) == (403, NO_METHOD)


def test_whose_signature(api: Api, deployment: Deployment, records: list[Record]) -> None:
    """A caller of this account may post where its own policy says so, and only then."""
    with roles.caller(deployment, "e2e-nobody", []) as nobody:
        answer = api.post({"Records": records}, signed_by=nobody)
    assert answer.status == 403 and "not authorized" in str(answer.body), answer
    forged = api.caller | {"aws_secret_access_key": "a guess"}
    assert api.post({"Records": records}, signed_by=forged).status == 403
    assert api.post({"Records": records}).status == 200


def test_outside_the_allow_list(api: Api, deployment: Deployment, records: list[Record]) -> None:
    """From an address that is not on the list nobody gets in, whatever else they have."""
    logs = deployment.on_demand_logs()
    for answer in (api.get(source=OTHER_ADDRESS), api.post({"Records": records}, source=OTHER_ADDRESS)):
        assert answer.status == 403, answer
        assert "explicit deny in a resource-based policy" in str(answer.body), answer
    assert logs.messages() == []


def test_an_update_of_allow_list_and_production(api: Api, deployment: Deployment) -> None:
    """An update lets another address in and protects the table; the next one takes both back."""
    database = deployment.client("dynamodb")

    def is_protected() -> bool:
        return database.describe_table(TableName=deployment.table)["Table"].get("DeletionProtectionEnabled", False)

    assert not is_protected()
    deployment.deploy(ALLOWED_CIDRS=f"{ADDRESS}/32,{OTHER_ADDRESS}/32", PRODUCTION="true")
    assert is_protected()
    assert [api.get(source=address).status for address in (ADDRESS, OTHER_ADDRESS)] == [200, 200]
    deployment.deploy()
    assert not is_protected()
    assert [api.get(source=address).status for address in (ADDRESS, OTHER_ADDRESS)] == [200, 403]


@pytest.fixture
def fresh_key(deployment: Deployment) -> Iterator[tuple[str, str]]:
    """Another key of the deployed usage plan, which nobody has used yet, and the plan."""
    gateway = deployment.client("apigateway")
    [plan] = deployment.resources("AWS::ApiGateway::UsagePlan").values()
    key = gateway.create_api_key(name="e2e", enabled=True)
    gateway.create_usage_plan_key(usagePlanId=plan, keyId=key["id"], keyType="API_KEY")
    yield key["value"], plan
    gateway.delete_usage_plan_key(usagePlanId=plan, keyId=key["id"])
    gateway.delete_api_key(apiKey=key["id"])


def test_over_the_quota(api: Api, deployment: Deployment, fresh_key: tuple[str, str]) -> None:
    """A key that used up its day is refused until tomorrow."""
    key, plan = fresh_key
    gateway = deployment.client("apigateway")
    deployed = gateway.get_usage_plan(usagePlanId=plan)
    assert deployed["quota"] == {"limit": 10_000, "period": "DAY"}
    assert deployed["throttle"] == {"burstLimit": 200, "rateLimit": 100.0}
    set_quota(gateway, plan, 3)
    try:
        assert [api.get(key=key).status for _ in range(3)] == [200, 200, 200]
        answer = api.get(key=key)
        assert (answer.status, answer.body) == (429, {"message": "Limit Exceeded"})
    finally:
        set_quota(gateway, plan, deployed["quota"]["limit"])
    assert wait.until("the quota is back", lambda: api.get(key=key).status == 200)


def set_quota(gateway, plan: str, limit: int) -> None:
    change = {"op": "replace", "path": "/quota/limit", "value": str(limit)}
    gateway.update_usage_plan(usagePlanId=plan, patchOperations=[change])

"""What is made good from outside where MiniStack 1.5.33 differs from AWS. Nothing else is changed after `cdk deploy`.

- Its CloudFormation drops the API's request validator and the method's reference to it.
- That validator refuses an absent body, which API Gateway takes for an empty object.
- It wants `sqs:SendMessageBatch` in a policy, an action that AWS does not have: there, `sqs:SendMessage` covers both calls.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from harness.emulator import Emulator

BATCH_POLICY = "emulator-send-message-batch"


def put_validator_back(emulator: Emulator, template: dict, api_id: str) -> None:
    """Creates the validators that the template holds, and gives them to the methods that name them."""
    gateway = emulator.client("apigateway")
    known = {it["name"]: it["id"] for it in gateway.get_request_validators(restApiId=api_id)["items"]}
    for name, properties in of_type(template, "AWS::ApiGateway::RequestValidator").items():
        if name not in known:
            known[name] = gateway.create_request_validator(
                restApiId=api_id,
                name=name,
                validateRequestBody=properties.get("ValidateRequestBody", False),
                validateRequestParameters=properties.get("ValidateRequestParameters", False),
            )["id"]
    for method in of_type(template, "AWS::ApiGateway::Method").values():
        if "RequestValidatorId" in method:
            set_validator(gateway, api_id, method["HttpMethod"], known[method["RequestValidatorId"]["Ref"]])


def set_validator(gateway: Any, api_id: str, method: str, validator: str) -> None:
    change = {"op": "replace", "path": "/requestValidatorId", "value": validator}
    for resource in gateway.get_resources(restApiId=api_id)["items"]:
        if method in resource.get("resourceMethods", {}):
            gateway.update_method(restApiId=api_id, resourceId=resource["id"], httpMethod=method, patchOperations=[change])


@contextmanager
def absent_body_passes(emulator: Emulator, template: dict, api_id: str) -> Iterator[None]:
    """Takes the validator away for a while."""
    set_validator(emulator.client("apigateway"), api_id, "POST", "")
    try:
        yield
    finally:
        put_validator_back(emulator, template, api_id)


def of_type(template: dict, kind: str) -> dict[str, dict]:
    return {name: it["Properties"] for name, it in template["Resources"].items() if it["Type"] == kind}


def allow_batches(emulator: Emulator, role: str) -> None:
    """Lets the role send batches exactly where its own policies let it send messages."""
    iam = emulator.client("iam")
    names = iam.list_role_policies(RoleName=role)["PolicyNames"]
    own = [iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"] for name in names if name != BATCH_POLICY]
    statements = [
        statement | {"Action": "sqs:SendMessageBatch", "Sid": f"Batch{number}"}
        for number, statement in enumerate(it for document in own for it in document["Statement"])
        if "sqs:SendMessage" in as_list(statement.get("Action", []))
    ]
    if statements:
        document = json.dumps({"Version": "2012-10-17", "Statement": statements})
        iam.put_role_policy(RoleName=role, PolicyName=BATCH_POLICY, PolicyDocument=document)
    elif BATCH_POLICY in names:
        iam.delete_role_policy(RoleName=role, PolicyName=BATCH_POLICY)


def as_list(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value

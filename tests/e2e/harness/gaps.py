"""What is made good from outside where MiniStack 1.5.33 differs from AWS. Nothing else is changed after `cdk deploy`.

- Its CloudFormation drops the API's request validator and the method's reference to it.
- It wants `sqs:SendMessageBatch` in a policy, an action that AWS does not have: there, `sqs:SendMessage` covers both calls.
"""

import json
from typing import Any

from harness.emulator import Emulator

BATCH_POLICY = "emulator-send-message-batch"


def put_validator_back(emulator: Emulator, template: dict, api_id: str) -> None:
    """Creates the validator that the template holds, and gives it to the methods that name it."""
    gateway = emulator.client("apigateway")
    of_type = {
        kind: {name: it["Properties"] for name, it in template["Resources"].items() if it["Type"] == f"AWS::ApiGateway::{kind}"}
        for kind in ("RequestValidator", "Method")
    }
    validators = {name: create_validator(gateway, api_id, name, it) for name, it in of_type["RequestValidator"].items()}
    resources = gateway.get_resources(restApiId=api_id)["items"]
    for method in of_type["Method"].values():
        wanted = method.get("RequestValidatorId")
        if wanted is None:
            continue
        for resource in resources:
            if method["HttpMethod"] in resource.get("resourceMethods", {}):
                gateway.update_method(
                    restApiId=api_id,
                    resourceId=resource["id"],
                    httpMethod=method["HttpMethod"],
                    patchOperations=[{"op": "replace", "path": "/requestValidatorId", "value": validators[wanted["Ref"]]}],
                )


def create_validator(gateway: Any, api_id: str, name: str, properties: dict) -> str:
    return gateway.create_request_validator(
        restApiId=api_id,
        name=name,
        validateRequestBody=properties.get("ValidateRequestBody", False),
        validateRequestParameters=properties.get("ValidateRequestParameters", False),
    )["id"]


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

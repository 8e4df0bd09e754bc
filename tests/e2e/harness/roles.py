"""Roles: what their policies hold, and how one acts as them."""

import copy
import json
from collections.abc import Iterator
from contextlib import contextmanager

from harness import gaps
from harness.deployment import Deployment
from harness.emulator import ACCOUNT, Credentials
from harness.gaps import as_list

ROOT_TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "sts:AssumeRole"}],
}


@contextmanager
def without(deployment: Deployment, role: str, action: str, resource: str) -> Iterator[None]:
    """Takes one action on one resource out of the role's policies for a while."""
    iam = deployment.client("iam")
    names = [name for name in iam.list_role_policies(RoleName=role)["PolicyNames"] if name != gaps.BATCH_POLICY]
    before = {name: iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"] for name in names}
    after = {name: without_action(document, action, resource) for name, document in before.items()}
    assert after != before, f"{role} is not allowed {action} on {resource}"
    try:
        put_policies(deployment, role, after)
        yield
    finally:
        put_policies(deployment, role, before)


def without_action(document: dict, action: str, resource: str) -> dict:
    changed = copy.deepcopy(document)
    for statement in changed["Statement"]:
        if resource in as_list(statement["Resource"]):
            statement["Action"] = [it for it in as_list(statement["Action"]) if it != action]
    changed["Statement"] = [statement for statement in changed["Statement"] if statement["Action"]]
    return changed


def put_policies(deployment: Deployment, role: str, documents: dict[str, dict]) -> None:
    iam = deployment.client("iam")
    for name, document in documents.items():
        iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=json.dumps(document))
    gaps.allow_batches(deployment.emulator, role)


@contextmanager
def acting_as(deployment: Deployment, role: str) -> Iterator[Credentials]:
    """Credentials of a role of the stack, which trusts the account's root for that long: nothing else of it changes."""
    iam = deployment.client("iam")
    trust = iam.get_role(RoleName=role)["Role"]["AssumeRolePolicyDocument"]
    try:
        iam.update_assume_role_policy(RoleName=role, PolicyDocument=json.dumps(ROOT_TRUST))
        yield assume(deployment, role)
    finally:
        iam.update_assume_role_policy(RoleName=role, PolicyDocument=json.dumps(trust))


@contextmanager
def caller(deployment: Deployment, name: str, allowed: list[dict]) -> Iterator[Credentials]:
    """Credentials of a new role with these statements alone."""
    iam = deployment.client("iam")
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(ROOT_TRUST))
    try:
        if allowed:
            document = json.dumps({"Version": "2012-10-17", "Statement": allowed})
            iam.put_role_policy(RoleName=name, PolicyName="allowed", PolicyDocument=document)
        yield assume(deployment, name)
    finally:
        if allowed:
            iam.delete_role_policy(RoleName=name, PolicyName="allowed")
        iam.delete_role(RoleName=name)


def assume(deployment: Deployment, role: str, caller: Credentials | None = None) -> Credentials:
    """Credentials of a role, as its trust policy gives them to a caller: the account's root, or somebody else."""
    arn = f"arn:aws:iam::{ACCOUNT}:role/{role}"
    keys = deployment.client("sts", caller).assume_role(RoleArn=arn, RoleSessionName="e2e")["Credentials"]
    return {
        "aws_access_key_id": keys["AccessKeyId"],
        "aws_secret_access_key": keys["SecretAccessKey"],
        "aws_session_token": keys["SessionToken"],
    }

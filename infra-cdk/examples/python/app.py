"""The documented system as a Python CDK app: the same stack as the TypeScript demo, resource for resource."""

import os

import aws_cdk as cdk

from documented_system import DocumentedSystem
from lambda_streams_cdk import ApiGatewayAccountStack, ProcessorCode

app = cdk.App()
stage = app.node.try_get_context("stage") or "dev"
asset = app.node.try_get_context("functionAsset")
allowed_cidrs = app.node.try_get_context("allowedCidrs")
if not allowed_cidrs:
    raise SystemExit("nobody is allowed to call the API; name its callers: -c allowedCidrs=203.0.113.7/32,198.51.100.0/24")

env = cdk.Environment(account=os.environ.get("CDK_DEFAULT_ACCOUNT"), region=os.environ.get("CDK_DEFAULT_REGION"))
system = DocumentedSystem(
    app,
    f"lambda-streams-{stage}",
    env=env,
    allowed_cidrs=allowed_cidrs.split(","),
    alarm_email=app.node.try_get_context("alarmEmail"),
    # A directory with a `bootstrap`, or the Cargo package that it is built from.
    code=ProcessorCode.from_asset(asset)
    if asset
    else ProcessorCode.from_cargo(manifest_path="../../../examples/stream-processor/Cargo.toml", binary_name="stream-processor"),
)
# The role that API Gateway writes logs with is one for the account and region: only where `aws apigateway get-account` shows none.
if app.node.try_get_context("apiAccount") == "true":
    system.add_stack_dependency(ApiGatewayAccountStack(app, "lambda-streams-api-account", env=env))
cdk.Tags.of(system).add("project", "lambda-streams")
cdk.Tags.of(system).add("stage", stage)
app.synth()

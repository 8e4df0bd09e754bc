"""A table, the function that processes its changes, an API to run records on demand, alarms and a dashboard."""

from aws_cdk import CfnOutput, RemovalPolicy, Stack
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_dynamodb as dynamodb
from constructs import Construct

from lambda_streams_cdk import (
    AlarmTopic,
    ApiAlarms,
    EncryptionKey,
    OnDemandApi,
    ProcessorCode,
    ProcessorFunctionOptions,
    StreamAlarmOptions,
    StreamDashboard,
    StreamProcessor,
)


class DocumentedSystem(Stack):
    """Everything goes with the stack: for data that must stay, use `RemovalPolicy.RETAIN` and `deletion_protection`."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        code: ProcessorCode,
        allowed_cidrs: list[str],
        alarm_email: str | None = None,
        **kwargs,
    ) -> None:
        super().__init__(scope, construct_id, **kwargs)
        self.key = EncryptionKey(
            self,
            "Key",
            description=f"Everything that {self.stack_name} keeps: items, dead letters, discarded batches, logs, alarms",
            removal_policy=RemovalPolicy.DESTROY,
        )
        self.table = self._create_table()
        # What the example function reads in addition to the construct's variables.
        environment = {"TABLE_NAME": self.table.table_name}
        topic = AlarmTopic(self, "AlarmTopic", encryption_key=self.key, email=alarm_email)
        self.processor = StreamProcessor(
            self,
            "Processor",
            table=self.table,
            code=code,
            function_options=ProcessorFunctionOptions(reserved_concurrent_executions=100, environment=environment),
            redrive=True,
            idempotency=True,
            encryption_key=self.key,
            alarms=StreamAlarmOptions(actions=[actions.SnsAction(topic)]),
            removal_policy=RemovalPolicy.DESTROY,
        )
        # The same code once more: callers of the API take nothing of the stream's concurrency.
        self.on_demand = self.processor.create_on_demand_function(
            self, "OnDemandFunction", reserved_concurrent_executions=250
        )
        self.api = OnDemandApi(
            self,
            "Api",
            handler=self.on_demand.function,
            allowed_cidrs=allowed_cidrs,
            encryption_key=self.key,
            removal_policy=RemovalPolicy.DESTROY,
        )
        api_alarms = ApiAlarms(self, "ApiAlarms", api=self.api.api, actions=[actions.SnsAction(topic)])
        StreamDashboard(
            self, "Dashboard", processor=self.processor, table=self.table, api=self.api.api, api_alarms=api_alarms
        )
        self._create_outputs()

    def _create_table(self) -> dynamodb.Table:
        by_time = dynamodb.Attribute(name="timestamp", type=dynamodb.AttributeType.NUMBER)
        table = dynamodb.Table(
            self,
            "Table",
            partition_key=dynamodb.Attribute(name="id", type=dynamodb.AttributeType.STRING),
            sort_key=by_time,
            billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
            stream=dynamodb.StreamViewType.NEW_AND_OLD_IMAGES,
            encryption=dynamodb.TableEncryption.CUSTOMER_MANAGED,
            encryption_key=self.key,
            point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
                point_in_time_recovery_enabled=True
            ),
            deletion_protection=False,
            removal_policy=RemovalPolicy.DESTROY,
        )
        table.add_global_secondary_index(
            index_name="status-timestamp-index",
            partition_key=dynamodb.Attribute(name="status", type=dynamodb.AttributeType.STRING),
            sort_key=by_time,
            projection_type=dynamodb.ProjectionType.ALL,
        )
        return table

    def _create_outputs(self) -> None:
        CfnOutput(self, "TableName", value=self.table.table_name)
        CfnOutput(self, "StreamArn", value=self.table.table_stream_arn)
        CfnOutput(self, "FunctionName", value=self.processor.function.function_name)
        CfnOutput(self, "FunctionLogGroup", value=self.processor.log_group.log_group_name)
        CfnOutput(self, "DeadLetterQueueUrl", value=self.processor.dead_letter_queue.queue_url)
        CfnOutput(self, "RedriveQueueArn", value=self.processor.redrive.queue.queue_arn)
        CfnOutput(self, "DiscardedBatchesArn", value=self.processor.on_failure.arn)
        CfnOutput(self, "ApiEndpoint", value=self.api.endpoint)
        CfnOutput(self, "ApiKeyId", value=self.api.api_key.key_id)

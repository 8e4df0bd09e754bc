import { App, CfnOutput, CliCredentialsStackSynthesizer, Duration, RemovalPolicy, Stack } from 'aws-cdk-lib';
import { AttributeType, StreamViewType, Table } from 'aws-cdk-lib/aws-dynamodb';
import { Architecture } from 'aws-cdk-lib/aws-lambda';
import { LogLevel, ProcessorCode, StreamProcessor } from '../lib';

// A user's app: a table, and a function written as the README of the crate says. `-c` changes what an update would change.
const app = new App();
const context = (name: string, otherwise: string): string => app.node.tryGetContext(name) ?? otherwise;
const production = context('production', 'false') === 'true';

const stack = new Stack(app, 'orders', { synthesizer: new CliCredentialsStackSynthesizer() });
const table = new Table(stack, 'Orders', {
  partitionKey: { name: 'id', type: AttributeType.STRING },
  stream: StreamViewType.NEW_AND_OLD_IMAGES,
  deletionProtection: production,
  removalPolicy: production ? RemovalPolicy.RETAIN : RemovalPolicy.DESTROY,
});
const processor = new StreamProcessor(stack, 'Processor', {
  table,
  code: ProcessorCode.fromAsset(context('functionAsset', 'test/fixtures/bootstrap')),
  functionOptions: { architecture: context('architecture', 'arm64') === 'x86_64' ? Architecture.X86_64 : Architecture.ARM_64 },
  settings: {
    concurrency: Number(context('concurrency', '3')),
    maxAttempts: 2,
    retryBase: Duration.millis(1),
    retryMax: Duration.millis(2),
    handlerTimeout: Duration.millis(250),
    giveUpAfter: Duration.hours(1),
    deadlineMargin: Duration.seconds(5),
    logLevel: LogLevel.DEBUG,
  },
  mapping: { batchSize: Number(context('batchSize', '50')), maxRecordAge: Duration.hours(Number(context('maxRecordAgeHours', '2'))) },
  redrive: true,
  removalPolicy: production ? RemovalPolicy.RETAIN : RemovalPolicy.DESTROY,
});
new CfnOutput(stack, 'TableName', { value: table.tableName });
new CfnOutput(stack, 'FunctionName', { value: processor.function.functionName });
new CfnOutput(stack, 'LogGroup', { value: processor.logGroup!.logGroupName });
new CfnOutput(stack, 'MappingId', { value: processor.mapping.eventSourceMappingId });
new CfnOutput(stack, 'DeadLetterQueueUrl', { value: processor.deadLetterQueue.queueUrl });
new CfnOutput(stack, 'RedriveQueueArn', { value: processor.redrive!.queue.queueArn });
new CfnOutput(stack, 'DiscardedBatchesArn', { value: processor.onFailure.arn });

import { App, CfnOutput, CliCredentialsStackSynthesizer, RemovalPolicy, Stack } from 'aws-cdk-lib';
import { AttributeType, BillingMode, StreamViewType, Table } from 'aws-cdk-lib/aws-dynamodb';
import { Architecture, StartingPosition } from 'aws-cdk-lib/aws-lambda';
import { ProcessorCode, StreamProcessor } from '../lib';

// A user's app: totals of orders that stay exact, with the function of the crate's guide on guards. Each order is added in one transaction
// with its guard, whose row is in the table that `idempotency` makes.
const app = new App();
const context = (name: string, otherwise: string): string => app.node.tryGetContext(name) ?? otherwise;

const stack = new Stack(app, 'totals', { synthesizer: new CliCredentialsStackSynthesizer() });
const options = { billingMode: BillingMode.PAY_PER_REQUEST, removalPolicy: RemovalPolicy.DESTROY };
const orders = new Table(stack, 'Orders', {
  partitionKey: { name: 'id', type: AttributeType.STRING },
  stream: StreamViewType.NEW_AND_OLD_IMAGES,
  ...options,
});
const totals = new Table(stack, 'Totals', { partitionKey: { name: 'customer', type: AttributeType.STRING }, ...options });
const processor = new StreamProcessor(stack, 'Processor', {
  table: orders,
  code: ProcessorCode.fromAsset(context('functionAsset', 'test/fixtures/bootstrap')),
  // The consumer's name as well: another name would add all orders again that the stream still holds.
  serviceName: 'order-totals',
  functionOptions: {
    architecture: context('architecture', 'arm64') === 'x86_64' ? Architecture.X86_64 : Architecture.ARM_64,
    environment: { TOTALS_TABLE: totals.tableName },
  },
  // The table is new, and its first orders count too.
  mapping: { startingPosition: StartingPosition.TRIM_HORIZON },
  idempotency: true,
  redrive: true,
  removalPolicy: options.removalPolicy,
});
// The transaction needs no permission of its own; that for the guard's row is the construct's.
totals.grant(processor.function, 'dynamodb:UpdateItem');
new CfnOutput(stack, 'TableName', { value: orders.tableName });
new CfnOutput(stack, 'TotalsTableName', { value: totals.tableName });
new CfnOutput(stack, 'IdempotencyTableName', { value: processor.idempotencyTable!.tableName });
new CfnOutput(stack, 'Consumer', { value: processor.consumer! });
new CfnOutput(stack, 'FunctionName', { value: processor.function.functionName });
new CfnOutput(stack, 'LogGroup', { value: processor.logGroup!.logGroupName });
new CfnOutput(stack, 'MappingId', { value: processor.mapping.eventSourceMappingId });
new CfnOutput(stack, 'DeadLetterQueueUrl', { value: processor.deadLetterQueue.queueUrl });
new CfnOutput(stack, 'RedriveQueueArn', { value: processor.redrive!.queue.queueArn });
new CfnOutput(stack, 'DiscardedBatchesArn', { value: processor.onFailure.arn });

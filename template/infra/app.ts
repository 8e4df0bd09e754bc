import * as path from 'node:path';
import { App, CfnOutput, RemovalPolicy, Stack } from 'aws-cdk-lib';
import { AttributeType, BillingMode, StreamViewType, Table } from 'aws-cdk-lib/aws-dynamodb';
import { ProcessorCode, StreamProcessor } from 'lambda-streams-cdk';

const app = new App();
// CloudFormation takes no underscores in a name.
const stack = new Stack(app, '{{ project_name }}'.replaceAll('_', '-'));
// `cdk destroy` deletes the orders and the dead letters too. Leave it out once they are worth keeping.
const removalPolicy = RemovalPolicy.DESTROY;

// A table that exists already: Table.fromTableAttributes(stack, 'Orders', { tableArn, tableStreamArn })
const table = new Table(stack, 'Orders', {
  partitionKey: { name: 'id', type: AttributeType.STRING },
  billingMode: BillingMode.PAY_PER_REQUEST,
  stream: StreamViewType.NEW_AND_OLD_IMAGES,
  removalPolicy,
});

const processor = new StreamProcessor(stack, 'Processor', {
  table,
  // Builds the function with `cargo lambda build --release --arm64`.
  code: ProcessorCode.fromCargo({ manifestPath: path.join(__dirname, '..', 'Cargo.toml') }),
  removalPolicy,
});

new CfnOutput(stack, 'TableName', { value: table.tableName });
new CfnOutput(stack, 'FunctionName', { value: processor.function.functionName });
new CfnOutput(stack, 'LogGroup', { value: processor.logGroup!.logGroupName });
new CfnOutput(stack, 'DeadLetterQueueUrl', { value: processor.deadLetterQueue.queueUrl });

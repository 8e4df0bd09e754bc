import { App, Stack, Validations } from 'aws-cdk-lib';
import { AttributeType, ITable, Table, TableV2 } from 'aws-cdk-lib/aws-dynamodb';
import { LambdaDeploymentConfig } from 'aws-cdk-lib/aws-codedeploy';
import { SecurityGroup, Vpc } from 'aws-cdk-lib/aws-ec2';
import { Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { Key } from 'aws-cdk-lib/aws-kms';
import { CapacityProvider } from 'aws-cdk-lib/aws-lambda';
import { Queue } from 'aws-cdk-lib/aws-sqs';
import { AwsSolutionsChecks, ServerlessChecks } from 'cdk-nag';
import { EncryptionKey, Findings, IdempotencyTable, ProcessorFunction, StreamProcessor, StreamProcessorProps } from '../lib';
import { readConfig } from '../lib/app-config';

// One stack for each way to run the function, so the static gates read what the construct makes of it.
const app = new App();
const { code } = readConfig(app);

function variant(id: string, props: (stack: Stack) => Partial<StreamProcessorProps>): void {
  const stack = new Stack(app, id);
  const own = props(stack);
  new StreamProcessor(stack, 'Processor', { table: importedTable(stack), code: own.handler ? undefined : code, redrive: true, ...own });
}

function importedTable(stack: Stack): ITable {
  return Table.fromTableAttributes(stack, 'Orders', {
    tableArn: `arn:aws:dynamodb:eu-central-1:111122223333:table/${stack.stackName}`,
    tableStreamArn: `arn:aws:dynamodb:eu-central-1:111122223333:table/${stack.stackName}/stream/2026-01-01T00:00:00.000`,
    encryptionKey: Key.fromKeyArn(stack, 'TableKey', 'arn:aws:kms:eu-central-1:111122223333:key/11111111-2222-3333-4444-555555555555'),
  });
}

function queue(stack: Stack, id: string, fifo?: boolean): Queue {
  return new Queue(stack, id, { fifo, encryptionMasterKey: new EncryptionKey(stack, `${id}Key`, { description: id }), enforceSSL: true });
}

variant('plain', () => ({}));
variant('canary', () => ({
  functionOptions: { alias: { provisionedConcurrentExecutions: 2, deployment: LambdaDeploymentConfig.CANARY_10PERCENT_5MINUTES } },
}));
variant('in-a-vpc', (stack) => ({
  functionOptions: {
    vpc: Vpc.fromVpcAttributes(stack, 'Vpc', {
      vpcId: 'vpc-0a1b2c3d4e5f60718',
      availabilityZones: ['eu-central-1a', 'eu-central-1b'],
      privateSubnetIds: ['subnet-0a1b2c3d4e5f60718', 'subnet-0a1b2c3d4e5f60719'],
      privateSubnetRouteTableIds: ['rtb-0a1b2c3d4e5f60718', 'rtb-0a1b2c3d4e5f60719'],
    }),
    securityGroups: [SecurityGroup.fromSecurityGroupId(stack, 'Outbound', 'sg-0a1b2c3d4e5f60718')],
  },
}));
variant('managed-instances', (stack) => ({
  functionOptions: {
    managedInstances: {
      capacityProvider: CapacityProvider.fromCapacityProviderArn(
        stack,
        'Instances',
        'arn:aws:lambda:eu-central-1:111122223333:capacity-provider:instances',
      ),
      minExecutionEnvironments: 2,
    },
  },
}));
variant('fifo-dead-letters', (stack) => {
  const deadLetterQueue = queue(stack, 'DeadLetters', true);
  acceptEnd(deadLetterQueue);
  return { deadLetterQueue, redrive: false };
});

// The function's own properties are the user's: here they are what ProcessorFunction makes.
const functions = new Stack(app, 'functions');
const letters = queue(functions, 'DeadLetters');
const failedInvocations = queue(functions, 'FailedInvocations');
[letters, failedInvocations].forEach(acceptEnd);
const handler = new ProcessorFunction(functions, 'Orders', {
  code,
  encryptionKey: letters.encryptionMasterKey!,
  failedInvocations,
}).function;
const rows = new IdempotencyTable(functions, 'Done', { encryptionKey: letters.encryptionMasterKey! });
variant('function-of-another-stack', () => ({ handler, deadLetterQueue: letters, idempotency: { table: rows } }));

const replicated = new Stack(app, 'replicated-table', { env: { region: 'eu-central-1' } });
const table = new TableV2(replicated, 'Orders', {
  partitionKey: { name: 'id', type: AttributeType.STRING },
  replicas: [{ region: 'eu-west-1' }],
  pointInTimeRecoverySpecification: { pointInTimeRecoveryEnabled: true },
  deletionProtection: true,
});
new StreamProcessor(replicated, 'Processor', { table, code });

const twice = new Stack(app, 'two-processors');
const shared = importedTable(twice);
const encryptionKey = new EncryptionKey(twice, 'Key', { description: 'What both processors keep' });
const done = new IdempotencyTable(twice, 'Done', { encryptionKey });
const role = new Role(twice, 'Role', { assumedBy: new ServicePrincipal('lambda.amazonaws.com') });
for (const id of ['First', 'Second']) {
  new StreamProcessor(twice, id, { table: shared, code, encryptionKey, functionOptions: { role }, redrive: true, idempotency: { table: done } });
}

function acceptEnd(end: Queue): void {
  Findings.accept(end, { nag: ['AwsSolutions-SQS3', 'Serverless-SQSRedrivePolicy'], reason: 'Failed work ends here.' });
}

Validations.of(app).addPlugins(new AwsSolutionsChecks(app), new ServerlessChecks(app));

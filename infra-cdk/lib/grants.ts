import { Stack, Validations } from 'aws-cdk-lib';
import { ITable } from 'aws-cdk-lib/aws-dynamodb';
import { IGrantable, PolicyStatement } from 'aws-cdk-lib/aws-iam';
import { IKey } from 'aws-cdk-lib/aws-kms';
import { ILogGroup } from 'aws-cdk-lib/aws-logs';
import { IBucket } from 'aws-cdk-lib/aws-s3';
import { IQueue } from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import { wildcardFinding } from './findings';

// The `grant*` methods of the CDK give more than is used (`sqs:GetQueueUrl`, `s3:*Object*`, `dynamodb:ListStreams` on
// every stream); each function here is one statement, for one resource, with a name that says what it is for.

/** Lets `grantee` send whole records to the dead-letter queue and ask for the queue's size limit. */
export function grantDeadLetters(grantee: IGrantable, queue: IQueue): void {
  allow(grantee, 'SendDeadLetters', ['sqs:SendMessage', 'sqs:GetQueueAttributes'], [queue.queueArn]);
  grantKeyOf(grantee, 'EncryptDeadLetters', queue.encryptionMasterKey, 'sqs');
}

/** Lets Lambda, as `grantee`, send to a queue that is the destination named `purpose`. */
export function grantDestinationQueue(grantee: IGrantable, purpose: string, queue: IQueue): void {
  allow(grantee, `Send${purpose}`, ['sqs:SendMessage'], [queue.queueArn]);
  grantKeyOf(grantee, `Encrypt${purpose}`, queue.encryptionMasterKey, 'sqs');
}

/** Lets Lambda, as `grantee`, write discarded batches to a bucket of this account. */
export function grantDestinationBucket(grantee: IGrantable, bucket: IBucket): void {
  const owner = { StringEquals: { 's3:ResourceAccount': Stack.of(bucket).account } };
  const objects = bucket.arnForObjects('*');
  allow(grantee, 'WriteDiscardedBatches', ['s3:PutObject'], [objects], owner);
  acceptWildcard(grantee, objects, 'Lambda chooses the name of each object that it writes; the bucket holds nothing else.');
  allow(grantee, 'ListDiscardedBatches', ['s3:ListBucket'], [bucket.bucketArn], owner);
  if (bucket.encryptionKey) {
    const via = viaService(bucket.encryptionKey, 's3');
    allow(grantee, 'EncryptDiscardedBatches', ['kms:GenerateDataKey'], [bucket.encryptionKey.keyArn], via);
  }
}

/** Lets the event source mapping, as `grantee`, read the table's stream. */
export function grantStream(grantee: IGrantable, table: ITable): void {
  const actions = ['dynamodb:DescribeStream', 'dynamodb:GetRecords', 'dynamodb:GetShardIterator', 'dynamodb:ListStreams'];
  allow(grantee, 'ReadTheStream', actions, [table.tableStreamArn!]);
  if (table.encryptionKey) {
    const via = viaService(table.encryptionKey, 'dynamodb');
    allow(grantee, 'DecryptTheStream', ['kms:Decrypt'], [table.encryptionKey.keyArn], via);
  }
}

/** Lets the redrive mapping, as `grantee`, take dead letters from the queue that they are put back through. */
export function grantRedrive(grantee: IGrantable, queue: IQueue): void {
  const actions = ['sqs:ReceiveMessage', 'sqs:DeleteMessage', 'sqs:GetQueueAttributes'];
  allow(grantee, 'TakeDeadLettersBack', actions, [queue.queueArn]);
  if (queue.encryptionMasterKey) {
    const via = viaService(queue.encryptionMasterKey, 'sqs');
    allow(grantee, 'DecryptDeadLetters', ['kms:Decrypt'], [queue.encryptionMasterKey.keyArn], via);
  }
}

/** Accepts that `grantee` may send traces, for which X-Ray knows no narrower resource; the CDK adds the statement. */
export function acceptTracing(grantee: IGrantable): void {
  acceptWildcard(grantee, '*', 'X-Ray has no resource to narrow PutTraceSegments and PutTelemetryRecords to.');
}

/** Lets the function, as `grantee`, write to its own log group. */
export function grantLogs(grantee: IGrantable, group: ILogGroup): void {
  allow(grantee, 'WriteLogs', ['logs:CreateLogStream', 'logs:PutLogEvents'], [group.logGroupArn]);
}

/**
 * Lets Lambda, as `grantee`, attach the function to a VPC.
 *
 * Lambda checks these actions against every resource when the function is created, so that nothing narrower deploys
 * (Lambda developer guide, "Giving Lambda functions access to resources in an Amazon VPC").
 */
export function grantNetwork(grantee: IGrantable): void {
  const actions = [
    'ec2:AssignPrivateIpAddresses',
    'ec2:CreateNetworkInterface',
    'ec2:DeleteNetworkInterface',
    'ec2:DescribeNetworkInterfaces',
    'ec2:DescribeSubnets',
    'ec2:UnassignPrivateIpAddresses',
  ];
  allow(grantee, 'AttachToTheVpc', actions, ['*']);
  acceptWildcard(grantee, '*', 'Lambda checks the network actions against every resource; nothing narrower deploys.');
}

// A producer to an encrypted queue needs both: SQS makes a data key and checks it (SQS developer guide, key management).
function grantKeyOf(grantee: IGrantable, sid: string, key: IKey | undefined, service: string): void {
  if (key) {
    allow(grantee, sid, ['kms:Decrypt', 'kms:GenerateDataKey'], [key.keyArn], viaService(key, service));
  }
}

function acceptWildcard(grantee: IGrantable, resource: string, reason: string): void {
  const { grantPrincipal } = grantee;
  if (Construct.isConstruct(grantPrincipal)) {
    const nag = wildcardFinding(Stack.of(grantPrincipal), resource);
    Validations.of(grantPrincipal).acknowledge({ id: nag, reason });
  }
}

function viaService(key: IKey, service: string): object {
  const stack = Stack.of(key);
  return { StringEquals: { 'kms:ViaService': `${service}.${stack.region}.${stack.urlSuffix}` } };
}

function allow(grantee: IGrantable, sid: string, actions: string[], resources: string[], conditions?: object): void {
  grantee.grantPrincipal.addToPrincipalPolicy(
    new PolicyStatement({ sid, actions, resources, conditions: conditions as Record<string, unknown> }),
  );
}

import { Annotations, Stack } from 'aws-cdk-lib';
import { ITable } from 'aws-cdk-lib/aws-dynamodb';
import { IGrantable, IPrincipal, IRole, Policy, PolicyStatement, Role } from 'aws-cdk-lib/aws-iam';
import { IKey } from 'aws-cdk-lib/aws-kms';
import { ILogGroup } from 'aws-cdk-lib/aws-logs';
import { IBucket } from 'aws-cdk-lib/aws-s3';
import { ITopic } from 'aws-cdk-lib/aws-sns';
import { IQueue } from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import { acceptFinding, acknowledge, wildcardFinding } from './findings';

/** What a mapping does with a stream. */
export const READ_STREAM = ['dynamodb:DescribeStream', 'dynamodb:GetRecords', 'dynamodb:GetShardIterator', 'dynamodb:ListStreams'];
/** What a mapping does with a queue. */
export const TAKE_MESSAGES = ['sqs:ReceiveMessage', 'sqs:DeleteMessage', 'sqs:GetQueueAttributes'];
/**
 * What the crate's store does with its table. A transaction with a guard needs no action of its own (DynamoDB developer guide, "Using
 * IAM with DynamoDB transactions").
 */
export const KEEP_WHAT_IS_DONE = ['dynamodb:BatchGetItem', 'dynamodb:GetItem', 'dynamodb:PutItem', 'dynamodb:UpdateItem'];
/** What Lambda does with a VPC. */
export const ATTACH_TO_VPC = [
  'ec2:AssignPrivateIpAddresses',
  'ec2:CreateNetworkInterface',
  'ec2:DeleteNetworkInterface',
  'ec2:DescribeNetworkInterfaces',
  'ec2:DescribeSubnets',
  'ec2:UnassignPrivateIpAddresses',
];

// The `grant*` methods of the CDK give more than is used (`sqs:GetQueueUrl`, `s3:*Object*`, `dynamodb:ListStreams` on
// every stream); each function here is one statement, for one resource, with a name that says what it is for.

/**
 * What statements for `role` are added to: the role if it is created in the stack of `scope`, otherwise a policy of this stack.
 *
 * A statement in the role of another stack would name resources of this one, on which the other stack would then depend. The
 * policy of an imported role has to exist before a mapping asks for it, so it has to be known: see `dependOn`.
 */
export function granteeOf(scope: Construct, role: IRole): IGrantable {
  countFunctions(scope, role);
  if (role instanceof Role && Stack.of(role) === Stack.of(scope)) {
    return role;
  }
  const policy = new Policy(scope, 'Policy');
  role.attachInlinePolicy(policy);
  return policy;
}

const FUNCTIONS = new WeakMap<IRole, number>();

// IAM quotas: 10,240 characters for all inline policies of a role. The statements of a processor with a redrive are up to 4,300.
function countFunctions(scope: Construct, role: IRole): void {
  const count = (FUNCTIONS.get(role) ?? 0) + 1;
  FUNCTIONS.set(role, count);
  if (count > 2) {
    Annotations.of(scope).addWarningV2(
      'lambda-streams:SharedRole',
      `the role ${role.node.path} runs ${count} functions, each with statements of up to 4,300 characters, and IAM takes 10,240 of inline ` +
        'policies for a role; give each function a role of its own, or acknowledge this warning where they fit',
    );
  }
}

/** Makes `construct` wait for the statements of `grantee`, unless something else implies it. */
export function dependOn(construct: Construct, grantee: IGrantable): void {
  if (grantee instanceof Policy) {
    construct.node.addDependency(grantee);
  }
}

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

/** Lets Lambda, as `grantee`, publish what it says of discarded batches to a topic. */
export function grantDestinationTopic(grantee: IGrantable, topic: ITopic): void {
  allow(grantee, 'PublishDiscardedBatches', ['sns:Publish'], [topic.topicArn]);
  grantKeyOf(grantee, 'EncryptDiscardedBatches', topic.masterKey, 'sns');
}

/** Lets Lambda, as `grantee`, write discarded batches to a bucket, as long as it is its owner's. */
export function grantDestinationBucket(grantee: IGrantable, bucket: IBucket): void {
  const owner = { StringEquals: { 's3:ResourceAccount': bucket.env.account } };
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
  allow(grantee, 'ReadTheStream', READ_STREAM, [table.tableStreamArn!]);
  if (table.encryptionKey) {
    const via = viaService(table.encryptionKey, 'dynamodb');
    allow(grantee, 'DecryptTheStream', ['kms:Decrypt'], [table.encryptionKey.keyArn], via);
  }
}

/** Lets the redrive mapping, as `grantee`, take dead letters from the queue that they are put back through. */
export function grantRedrive(grantee: IGrantable, queue: IQueue): void {
  allow(grantee, 'TakeDeadLettersBack', TAKE_MESSAGES, [queue.queueArn]);
  if (queue.encryptionMasterKey) {
    const via = viaService(queue.encryptionMasterKey, 'sqs');
    allow(grantee, 'DecryptDeadLetters', ['kms:Decrypt'], [queue.encryptionMasterKey.keyArn], via);
  }
}

/**
 * Lets the function, as `grantee`, keep what `consumer` has done, and reach no row of another consumer.
 *
 * DynamoDB tells IAM the partition keys that a request names, those of a batch too (DynamoDB developer guide, "Using IAM policy conditions for
 * fine-grained access control"). `ForAllValues` holds where there are none, but none of the four actions works without a key.
 */
export function grantIdempotency(grantee: IGrantable, table: ITable, consumer: string): void {
  const ownRows = { 'ForAllValues:StringLike': { 'dynamodb:LeadingKeys': [`${consumer}#*`] } };
  allow(grantee, 'KeepWhatIsDone', KEEP_WHAT_IS_DONE, [table.tableArn], ownRows);
  if (table.encryptionKey) {
    // For writes as well: DynamoDB decrypts the table's key as the caller (DynamoDB developer guide, "Encryption at rest").
    const via = viaService(table.encryptionKey, 'dynamodb');
    allow(grantee, 'DecryptWhatIsDone', ['kms:Decrypt'], [table.encryptionKey.keyArn], via);
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
 * Lambda checks these actions against every resource when the function is created, so nothing narrower deploys
 * (Lambda developer guide, "Giving Lambda functions access to resources in an Amazon VPC").
 */
export function grantNetwork(grantee: IGrantable): void {
  allow(grantee, 'AttachToTheVpc', ATTACH_TO_VPC, ['*']);
  const reason = 'Lambda checks the network actions against every resource; nothing narrower deploys.';
  acceptWildcard(grantee, '*', reason);
  const policy = grantee instanceof Policy ? grantee : (grantee.grantPrincipal as Role).node.findChild('DefaultPolicy');
  acceptFinding(policy, { checkov: ['CKV_AWS_111'], reason });
}

// A producer to an encrypted queue needs both: SQS makes a data key and checks it (SQS developer guide, key management).
function grantKeyOf(grantee: IGrantable, sid: string, key: IKey | undefined, service: string): void {
  if (key) {
    allow(grantee, sid, ['kms:Decrypt', 'kms:GenerateDataKey'], [key.keyArn], viaService(key, service));
  }
}

function acceptWildcard(grantee: IGrantable, resource: string, reason: string): void {
  const holder = grantee instanceof Policy ? grantee : grantee.grantPrincipal;
  if (Construct.isConstruct(holder)) {
    acknowledge(holder, wildcardFinding(Stack.of(holder), resource), reason);
  }
}

function viaService(key: IKey, service: string): object {
  return { StringEquals: { 'kms:ViaService': `${service}.${key.env.region}.${Stack.of(key).urlSuffix}` } };
}

function allow(grantee: IGrantable, sid: string, actions: string[], resources: string[], conditions?: object): void {
  const { grantPrincipal } = grantee;
  grantPrincipal.addToPrincipalPolicy(
    new PolicyStatement({
      sid: uniqueSid(grantPrincipal, sid),
      actions,
      resources,
      conditions: conditions as Record<string, unknown>,
    }),
  );
}

const SIDS = new WeakMap<IPrincipal, Map<string, number>>();

// IAM takes a Sid once in a policy; a role that several functions share gets the same statement from each of them.
function uniqueSid(principal: IPrincipal, sid: string): string {
  const counts = SIDS.get(principal) ?? new Map<string, number>();
  const count = (counts.get(sid) ?? 0) + 1;
  SIDS.set(principal, counts.set(sid, count));
  return count === 1 ? sid : `${sid}${count}`;
}

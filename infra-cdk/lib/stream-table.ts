import { Annotations, Stack, Token } from 'aws-cdk-lib';
import { CfnGlobalTable, CfnTable, ITable } from 'aws-cdk-lib/aws-dynamodb';
import { Construct } from 'constructs';
import { check, checkPlace } from './checks';

/** Throws unless the table has a stream that a mapping in the stack of `scope` can read; warns of what may not be meant. */
export function checkStream(scope: Construct, table: ITable): void {
  check(
    scope,
    hasStream(table),
    'the table has no stream; give it stream: StreamViewType.NEW_AND_OLD_IMAGES (dynamoStream in a TableV2), or tableStreamArn where it is imported',
  );
  checkPlace(scope, 'region', 'the table', table, 'Lambda reads streams of its own region only; deploy this construct there');
  check(
    scope,
    !/\/stream\/\*/.test(JSON.stringify(Stack.of(scope).resolve(table.tableStreamArn))),
    "the table is a replica, whose stream's ARN the CDK does not know; deploy the replica first, and import it here with " +
      'TableV2.fromTableAttributes and its tableStreamArn (aws dynamodb describe-table calls it LatestStreamArn)',
  );
  warnOfKeysOnly(scope, table);
  countReaders(scope, table);
}

// A TableV2 has a stream ARN whether or not it has a stream.
function hasStream(table: ITable): boolean {
  const { defaultChild } = table.node;
  const without = defaultChild instanceof CfnGlobalTable && streamOf(table) === undefined;
  return table.tableStreamArn !== undefined && !without;
}

function streamOf(table: ITable): { streamViewType?: string } | undefined {
  const { defaultChild } = table.node;
  const isTable = defaultChild instanceof CfnGlobalTable || defaultChild instanceof CfnTable;
  return isTable ? Stack.of(table).resolve(defaultChild.streamSpecification) : undefined;
}

function warnOfKeysOnly(scope: Construct, table: ITable): void {
  if (streamOf(table)?.streamViewType === 'KEYS_ONLY') {
    Annotations.of(scope).addWarningV2(
      'lambda-streams:KeysOnly',
      'the stream has keys only, so a handler that reads an image fails on every record; use NEW_AND_OLD_IMAGES, or acknowledge this warning',
    );
  }
}

const READERS = new WeakMap<Construct, Map<string, string[]>>();

// Lambda developer guide, "Using AWS Lambda with Amazon DynamoDB": two readers a shard, and one where the table has replicas.
function countReaders(scope: Construct, table: ITable): void {
  const root = scope.node.root as Construct;
  const all = READERS.get(root) ?? new Map<string, string[]>();
  const stream = Token.isUnresolved(table.tableStreamArn) ? table.node.path : table.tableStreamArn!;
  const readers = [...(all.get(stream) ?? []), scope.node.path];
  READERS.set(root, all.set(stream, readers));
  const limit = hasReplicas(table) ? 1 : 2;
  if (readers.length > limit) {
    Annotations.of(scope).addWarningV2(
      'lambda-streams:StreamReaders',
      `the table's stream has ${readers.length} readers in this app (${readers.join(', ')}), and DynamoDB throttles more than ${limit} ` +
        'of one shard; let one function do the work of several, or fan out from it',
    );
  }
}

function hasReplicas(table: ITable): boolean {
  const { defaultChild } = table.node;
  const replicas: unknown = defaultChild instanceof CfnGlobalTable ? Stack.of(table).resolve(defaultChild.replicas) : [];
  return Array.isArray(replicas) && replicas.length > 1;
}

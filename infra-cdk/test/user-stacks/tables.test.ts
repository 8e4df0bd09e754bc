import { CfnParameter, Duration, Stack } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { AttributeType, ITable, StreamViewType, Table, TableEncryptionV2, TableV2 } from 'aws-cdk-lib/aws-dynamodb';
import { Key } from 'aws-cdk-lib/aws-kms';
import { FilterCriteria, FilterRule } from 'aws-cdk-lib/aws-lambda';
import { describe, expect, it } from 'vitest';
import { ProcessorCode, StreamProcessor } from '../../lib';
import { statementsOf } from '../../scripts/iam-statements';
import { BOOTSTRAP, newApp, newProcessor, newTable, processorTemplate, referred, resource, streamMapping, userStack, warningsOf } from '../support';

const code = ProcessorCode.fromAsset(BOOTSTRAP);
const partitionKey = { name: 'pk', type: AttributeType.STRING };
const EU = { env: { region: 'eu-central-1', account: '111122223333' } };
const STREAM = 'arn:aws:dynamodb:eu-central-1:111122223333:table/orders/stream/2026-01-01T00:00:00.000';

function process(stack: Stack, table: ITable, id = 'Processor'): StreamProcessor {
  return new StreamProcessor(stack, id, { table, code, alarms: false });
}

describe('a TableV2', () => {
  it('without a stream is refused, though it has a stream ARN', () => {
    const stack = userStack();
    expect(() => process(stack, new TableV2(stack, 'Orders', { partitionKey }))).toThrow(
      /the table has no stream; give it stream: .* \(dynamoStream in a TableV2\)/,
    );
  });

  it('with replicas has a stream without being asked for one, of which one function may read', () => {
    const stack = userStack('user', newApp(), EU);
    const table = new TableV2(stack, 'Orders', { partitionKey, replicas: [{ region: 'eu-west-1' }] });
    process(stack, table, 'First');
    expect(referred(streamMapping(Template.fromStack(stack)).Properties.EventSourceArn)).toContain('Orders');
    expect(warningsOf(stack)).toEqual([]);
  });

  it('with replicas is warned of at the second reader', () => {
    const stack = userStack('user', newApp(), EU);
    const table = new TableV2(stack, 'Orders', { partitionKey, replicas: [{ region: 'eu-west-1' }] });
    process(stack, table, 'First');
    process(stack, table, 'Second');
    expect(warningsOf(stack)).toEqual([expect.stringMatching(/2 readers in this app \(user\/First\/Mapping, user\/Second\/Mapping\), .* more than 1/)]);
  });

  it('is refused where it is a replica, with how to import it', () => {
    const app = newApp();
    const table = new TableV2(userStack('tables', app, EU), 'Orders', {
      partitionKey,
      tableName: 'orders',
      replicas: [{ region: 'eu-west-1' }],
    });
    const stack = userStack('user', app, { env: { region: 'eu-west-1', account: '111122223333' } });
    expect(() => process(stack, table.replica('eu-west-1'))).toThrow(
      /^user\/Processor\/Mapping: the table is a replica, .* import it here with TableV2.fromTableAttributes and its tableStreamArn/,
    );
  });

  it('is taken where its replica is imported', () => {
    const stack = userStack('user', newApp(), EU);
    const tableArn = 'arn:aws:dynamodb:eu-central-1:111122223333:table/orders';
    process(stack, TableV2.fromTableAttributes(stack, 'Orders', { tableArn, tableStreamArn: STREAM }));
    expect(streamMapping(Template.fromStack(stack)).Properties.EventSourceArn).toBe(STREAM);
  });

  it('with a key of its own lets the role use it through DynamoDB', () => {
    const stack = userStack('user', newApp(), EU);
    const encryption = TableEncryptionV2.customerManagedKey(new Key(stack, 'TableKey'));
    process(stack, new TableV2(stack, 'Orders', { partitionKey, dynamoStream: StreamViewType.NEW_IMAGE, encryption }));
    const decrypt = statementsOf(Template.fromStack(stack)).find(({ sid }) => sid === 'DecryptTheStream');
    expect(decrypt?.resources).toEqual(['TableKey.Arn']);
  });
});

describe('a table', () => {
  it('of another region is refused', () => {
    const app = newApp();
    const table = newTable(userStack('tables', app, EU));
    const stack = userStack('user', app, { env: { region: 'eu-west-1', account: '111122223333' } });
    expect(() => process(stack, table)).toThrow(/the table is in eu-central-1, and this stack in eu-west-1: .* deploy this construct there/);
  });

  it('whose stream has keys only is warned of', () => {
    const stack = userStack();
    process(stack, new Table(stack, 'Orders', { partitionKey, stream: StreamViewType.KEYS_ONLY }));
    expect(warningsOf(stack)).toEqual([expect.stringMatching(/the stream has keys only, .* use NEW_AND_OLD_IMAGES/)]);
  });

  it('of an imported key lets the role use it where the key is told', () => {
    const stack = userStack();
    const encryptionKey = Key.fromKeyArn(stack, 'TableKey', 'arn:aws:kms:eu-central-1:111122223333:key/abc');
    const tableArn = 'arn:aws:dynamodb:eu-central-1:111122223333:table/orders';
    process(stack, Table.fromTableAttributes(stack, 'Orders', { tableArn, tableStreamArn: STREAM, encryptionKey }));
    const decrypt = statementsOf(Template.fromStack(stack)).find(({ sid }) => sid === 'DecryptTheStream');
    expect(decrypt?.resources).toEqual(['arn:aws:kms:eu-central-1:111122223333:key/abc']);
  });

  it('with two readers is fine, and with a third warned of', () => {
    const stack = userStack();
    const table = newTable(stack);
    process(stack, table, 'First');
    process(stack, table, 'Second');
    expect(warningsOf(stack)).toEqual([]);
    const more = userStack();
    const shared = newTable(more);
    ['First', 'Second', 'Third'].forEach((id) => process(more, shared, id));
    expect(warningsOf(more)).toEqual([expect.stringMatching(/3 readers in this app .* DynamoDB throttles more than 2 of one shard/)]);
  });

  it('that is imported into two stacks counts as one', () => {
    const app = newApp();
    const stacks = ['first', 'second', 'third'].map((id) => userStack(id, app));
    for (const stack of stacks) {
      const tableArn = 'arn:aws:dynamodb:eu-central-1:111122223333:table/orders';
      process(stack, Table.fromTableAttributes(stack, 'Orders', { tableArn, tableStreamArn: STREAM }));
    }
    expect(stacks.map((stack) => warningsOf(stack).length)).toEqual([0, 0, 1]);
  });
});

describe('a filter', () => {
  it.each<[string, Array<{ [key: string]: any }>, RegExp]>([
    ['without a pattern', [{ eventName: ['REMOVE'] }], /filters\[0\] has no pattern; write it with FilterCriteria.filter/],
    ['that is not JSON', [{ pattern: 'eventName' }], /the pattern of filters\[0\] is not a JSON object/],
    ['that is not an object', [{ pattern: '["REMOVE"]' }], /is not a JSON object/],
    ['that is too long', [{ pattern: '{}' }, { pattern: JSON.stringify({ eventName: ['x'.repeat(4_096)] }) }], /of filters\[1\] has 4\d+ characters; Lambda takes 4096/],
    [
      'that compares a number of DynamoDB',
      [FilterCriteria.filter({ dynamodb: { NewImage: { total: { N: FilterRule.between(1, 9) } } } })],
      /compares an attribute of type N as a number, which never matches: .* \{ N: \["1"\] \}/,
    ],
    ['that equals a number', [{ pattern: '{"dynamodb":{"Keys":{"id":{"N":[5]}}}}' }], /compares an attribute of type N as a number/],
  ])('%s is refused', (_, filters, message) => {
    expect(() => newProcessor({ mapping: { filters } })).toThrow(message);
  });

  it('of strings, numbers as strings and numbers that are none of DynamoDB is taken', () => {
    const filters = [
      FilterCriteria.filter({ eventName: FilterRule.isEqual('REMOVE') }),
      FilterCriteria.filter({ dynamodb: { Keys: { id: { N: FilterRule.isEqual('5') } } } }),
      FilterCriteria.filter({ dynamodb: { ApproximateCreationDateTime: FilterRule.between(1, 2) } }),
    ];
    expect(streamMapping(processorTemplate({ mapping: { filters } })).Properties.FilterCriteria.Filters).toHaveLength(3);
  });

  it('that is known at the deployment only is taken, and so are other options of the mapping', () => {
    const stack = userStack();
    const number = (id: string): number => new CfnParameter(stack, id, { type: 'Number' }).valueAsNumber;
    const mapping = {
      filters: [{ pattern: new CfnParameter(stack, 'Pattern').valueAsString }],
      batchSize: number('Size'),
      parallelizationFactor: number('Factor'),
      batchingWindow: Duration.seconds(number('Window')),
      tumblingWindow: Duration.seconds(30),
    };
    new StreamProcessor(stack, 'Processor', { table: newTable(stack), code, mapping, settings: { concurrency: number('Handlers') } });
    const template = Template.fromStack(stack);
    expect(streamMapping(template).Properties).toMatchObject({
      FilterCriteria: { Filters: [{ Pattern: { Ref: 'Pattern' } }] },
      BatchSize: { Ref: 'Size' },
      ParallelizationFactor: { Ref: 'Factor' },
      MaximumBatchingWindowInSeconds: { Ref: 'Window' },
    });
    expect(resource(template, 'AWS::Lambda::Function').Properties.Environment.Variables.LAMBDA_STREAMS_CONCURRENCY).toEqual({ Ref: 'Handlers' });
  });

  it('is encrypted with a key that lets Lambda decrypt it', () => {
    const stack = userStack();
    const filters = [FilterCriteria.filter({ eventName: FilterRule.isEqual('REMOVE') })];
    const filterEncryption = new Key(stack, 'FilterKey');
    new StreamProcessor(stack, 'Processor', { table: newTable(stack), code, mapping: { filters, filterEncryption } });
    const template = Template.fromStack(stack);
    expect(referred(streamMapping(template).Properties.KmsKeyArn)).toContain('FilterKey');
    const lambda = statementsOf(template).filter(({ holder, principal }) => holder === 'FilterKey' && principal === 'lambda.amazonaws.com');
    expect(lambda.map(({ actions }) => actions)).toEqual([['kms:Decrypt']]);
  });
});

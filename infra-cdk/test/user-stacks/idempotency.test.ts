import { Duration, RemovalPolicy, Stack } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { AttributeType, ITable, StreamViewType, Table, TableProps, TableV2 } from 'aws-cdk-lib/aws-dynamodb';
import { Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { Key } from 'aws-cdk-lib/aws-kms';
import { Alias, Function } from 'aws-cdk-lib/aws-lambda';
import { Queue } from 'aws-cdk-lib/aws-sqs';
import { describe, expect, it } from 'vitest';
import {
  EncryptionKey,
  IdempotencyOptions,
  IdempotencyTable,
  ProcessorCode,
  ProcessorFunction,
  StreamDashboard,
  StreamProcessor,
  StreamProcessorProps,
} from '../../lib';
import { statementsOf } from '../../scripts/iam-statements';
import { BOOTSTRAP, newApp, newProcessor, newTable, ownFunction, processorTemplate, referred, resource, resources, templateOf, userStack, warningsOf } from '../support';

const code = ProcessorCode.fromAsset(BOOTSTRAP);
const TABLE_ARN = 'arn:aws:dynamodb:eu-central-1:111122223333:table/done';
const EU = { env: { region: 'eu-central-1', account: '111122223333' } };
const ROWS = { partitionKey: { name: 'key', type: AttributeType.STRING }, timeToLiveAttribute: 'expires' };

function process(stack: Stack, id: string, idempotency: IdempotencyOptions | boolean, props: Partial<StreamProcessorProps> = {}): StreamProcessor {
  return new StreamProcessor(stack, id, { table: newTable(stack, `${id}Table`), code: props.handler ? undefined : code, idempotency, ...props });
}

function sharedTable(stack: Stack): IdempotencyTable {
  return new IdempotencyTable(stack, 'Done', { encryptionKey: new EncryptionKey(stack, 'DoneKey', { description: 'What is done' }) });
}

/** What a template has that has anything of it. */
const TRACES = /[Ii]dempotency|LAMBDA_STREAMS_CONSUMER|WhatIsDone|Mark[A-Z]|[Aa]lready ?[Dd]one/;

/** What each function knows of the table: its logical id or name, and the consumer's name. */
function told(template: Template): Record<string, [unknown, string]> {
  const functions = Object.entries(resources(template, 'AWS::Lambda::Function'));
  return Object.fromEntries(
    functions.map(([id, { Properties }]) => {
      const { LAMBDA_STREAMS_IDEMPOTENCY_TABLE: table, LAMBDA_STREAMS_CONSUMER: consumer } = Properties.Environment.Variables;
      return [id.replace(/[0-9A-F]{8}$/, ''), [typeof table === 'object' ? referred(table).replace(/[0-9A-F]{8}$/, '') : table, consumer]];
    }),
  );
}

/** The statements about rows: who has them, on which table, for which rows. */
function grants(template: Template): string[] {
  return statementsOf(template)
    .filter(({ sid }) => sid.startsWith('KeepWhatIsDone'))
    .map(({ holder, resources: on, conditions }) => `${holder} ${on.join()} ${conditions.join()}`)
    .sort();
}

function rowsOf(consumer: string): string {
  return `ForAllValues:StringLike dynamodb:LeadingKeys ${consumer}#*`;
}

describe('every function of a processor', () => {
  it('is the same consumer and may use its rows: of the stream and the redrive, on demand, and made by hand', () => {
    const stack = userStack();
    const processor = process(stack, 'Processor', true, { serviceName: 'orders', redrive: true });
    processor.createOnDemandFunction(stack, 'OnDemand');
    const backfill = new ProcessorFunction(stack, 'Backfill', {
      code,
      environment: processor.environmentFor('orders-backfill'),
      encryptionKey: processor.encryptionKey,
      failedInvocations: processor.failedInvocations,
    });
    processor.grantIdempotency(backfill.grantee);
    const template = Template.fromStack(stack);
    const same = ['ProcessorIdempotency', 'orders'];
    expect(told(template)).toEqual({ ProcessorFunction: same, OnDemandFunction: same, BackfillFunction: same });
    const mapped = Object.values(resources(template, 'AWS::Lambda::EventSourceMapping')).map(({ Properties }) => referred(Properties.FunctionName));
    expect(mapped).toEqual([expect.stringContaining('ProcessorFunction'), expect.stringContaining('ProcessorFunction')]);
    const own = `ProcessorIdempotency.Arn ${rowsOf('orders')}`;
    expect(grants(template)).toEqual(['Backfill', 'OnDemand', 'ProcessorFunction'].map((id) => `${id}RoleDefaultPolicy ${own}`));
    const decrypt = statementsOf(template).filter(({ sid }) => sid === 'DecryptWhatIsDone');
    expect(decrypt.map(({ actions, resources: on, conditions }) => [...actions, ...on, ...conditions])).toEqual(
      Array(3).fill(['kms:Decrypt', 'ProcessorKey.Arn', 'StringEquals kms:ViaService dynamodb.{Region}.{URLSuffix}']),
    );
  });

  it('has the name that is given, and not that of its metrics', () => {
    const processor = newProcessor({ serviceName: 'orders', idempotency: { consumer: 'order totals' } });
    expect([processor.consumer, processor.metrics.serviceName]).toEqual(['order totals', 'orders']);
    expect(told(templateOf(processor))).toEqual({ ProcessorFunction: ['ProcessorIdempotency', 'order totals'] });
    expect(grants(templateOf(processor))).toEqual([`ProcessorFunctionRoleDefaultPolicy ProcessorIdempotency.Arn ${rowsOf('order totals')}`]);
  });

  it('has nothing of it where it is off', () => {
    for (const idempotency of [undefined, false]) {
      const processor = newProcessor({ serviceName: 'orders', idempotency });
      processor.createOnDemandFunction(Stack.of(processor), 'OnDemand');
      processor.grantIdempotency(processor.function);
      new StreamDashboard(Stack.of(processor), 'Dashboard', { processor, table: newTable(Stack.of(processor), 'Shown') });
      expect([processor.idempotencyTable, processor.consumer]).toEqual([undefined, undefined]);
      expect(JSON.stringify(templateOf(processor).toJSON()).match(TRACES)).toBeNull();
    }
  });
});

describe('a function that exists', () => {
  it('gets the variables and the statement, through an alias too', () => {
    const stack = userStack();
    const own = ownFunction(stack);
    const handler = new Alias(stack, 'Live', { aliasName: 'live', version: own.currentVersion });
    process(stack, 'Processor', true, { handler, serviceName: 'orders' });
    const template = Template.fromStack(stack);
    expect(told(template)).toEqual({ Mine: ['ProcessorIdempotency', 'orders'] });
    expect(grants(template)).toEqual([`MineServiceRoleDefaultPolicy ProcessorIdempotency.Arn ${rowsOf('orders')}`]);
  });

  it('of elsewhere is warned of with the names of the variables, whose values environmentFor has', () => {
    const stack = userStack();
    const handler = Function.fromFunctionAttributes(stack, 'Imported', {
      functionArn: 'arn:aws:lambda:eu-central-1:111122223333:function:orders',
      role: Role.fromRoleArn(stack, 'ImportedRole', 'arn:aws:iam::111122223333:role/orders'),
      sameEnvironment: true,
    });
    const processor = process(stack, 'Processor', true, { handler, timeout: Duration.seconds(30), serviceName: 'orders' });
    expect(warningsOf(stack)).toEqual([expect.stringMatching(/LAMBDA_STREAMS_IDEMPOTENCY_TABLE, LAMBDA_STREAMS_CONSUMER/)]);
    expect(processor.environmentFor('orders').LAMBDA_STREAMS_CONSUMER).toBe('orders');
    expect(grants(Template.fromStack(stack))).toHaveLength(1);
  });

  it('of another stack needs a table that is not made here', () => {
    const app = newApp();
    const [functions, stack] = [userStack('functions', app), userStack('user', app)];
    const handler = ownFunction(functions);
    const deadLetterQueue = new Queue(functions, 'Failed');
    expect(() => process(stack, 'Refused', true, { handler, deadLetterQueue })).toThrow(
      /^user\/Refused: .* would name the idempotency table of the stack user: .* Make it in functions and give it as idempotency: { table }, or move this construct there/,
    );
  });

  it('of another stack works with a table of that stack', () => {
    const app = newApp();
    const [functions, stack] = [userStack('functions', app), userStack('user', app)];
    const table = sharedTable(functions);
    process(stack, 'Processor', { table, consumer: 'orders' }, { handler: ownFunction(functions), deadLetterQueue: new Queue(functions, 'Failed') });
    expect(grants(Template.fromStack(stack))).toEqual([expect.stringMatching(new RegExp(`^ProcessorPolicy .* ${rowsOf('orders').replace(/[*]/g, '\\*')}$`))]);
    expect(told(Template.fromStack(functions))).toEqual({ Mine: ['Done', 'orders'] });
  });
});

describe('a table that exists', () => {
  it('is shared by processors, of which none reaches the rows of the other', () => {
    const stack = userStack();
    const table = sharedTable(stack);
    for (const id of ['First', 'Second']) {
      process(stack, id, { table }, { serviceName: id.toLowerCase() });
    }
    const template = Template.fromStack(stack);
    expect(Object.keys(resources(template, 'AWS::DynamoDB::Table')).filter((id) => /Idempotency|Done/.test(id))).toHaveLength(1);
    expect(grants(template)).toEqual([
      `FirstFunctionRoleDefaultPolicy Done.Arn ${rowsOf('first')}`,
      `SecondFunctionRoleDefaultPolicy Done.Arn ${rowsOf('second')}`,
    ]);
    const decrypt = statementsOf(template).filter(({ sid }) => sid === 'DecryptWhatIsDone');
    expect(decrypt.map(({ resources: on }) => on)).toEqual([['DoneKey.Arn'], ['DoneKey.Arn']]);
    expect(warningsOf(stack)).toEqual([]);
  });

  it('has each Sid once in a role that two functions share', () => {
    const stack = userStack();
    const [table, role] = [sharedTable(stack), new Role(stack, 'Shared', { assumedBy: new ServicePrincipal('lambda.amazonaws.com') })];
    for (const id of ['First', 'Second']) {
      process(stack, id, { table }, { functionOptions: { role }, redrive: true });
    }
    const { Statement } = resource(Template.fromStack(stack), 'AWS::IAM::Policy', 'SharedDefaultPolicy').Properties.PolicyDocument;
    const sids: string[] = Statement.map(({ Sid }: any) => Sid).filter(Boolean);
    expect(sids).toEqual(expect.arrayContaining(['KeepWhatIsDone', 'KeepWhatIsDone2']));
    expect(new Set(sids).size).toBe(sids.length);
    expect(JSON.stringify(Statement).length).toBeLessThan(10_240);
  });

  it('is warned of where two consumers of one name read one stream, but not where they read two', () => {
    const warned = (streams: [string, string]): string[] => {
      const stack = userStack();
      const idempotency = { table: sharedTable(stack), consumer: 'orders' };
      const tables = Object.fromEntries([...new Set(streams)].map((id) => [id, newTable(stack, id)]));
      streams.forEach((id, index) => new StreamProcessor(stack, `P${index}`, { table: tables[id]!, code, idempotency }));
      return warningsOf(stack);
    };
    expect(warned(['Orders', 'Orders'])).toEqual([
      expect.stringMatching(/the consumer of idempotency is "orders", as that of user\/P0, which reads the same stream: each skips what the other has done/),
    ]);
    expect(warned(['Orders', 'Returns'])).toEqual([]);
  });

  it('is warned of where it is imported, for its keys cannot be checked, and used with its key', () => {
    const stack = userStack('user', newApp(), EU);
    const encryptionKey = Key.fromKeyArn(stack, 'DoneKey', 'arn:aws:kms:eu-central-1:111122223333:key/11111111-2222-3333-4444-555555555555');
    const table = Table.fromTableAttributes(stack, 'Done', { tableArn: TABLE_ARN, encryptionKey });
    process(stack, 'Processor', { table, consumer: 'orders' });
    expect(warningsOf(stack)).toEqual([
      expect.stringMatching(/the table of idempotency, user\/Done, is imported, .* unless it has partitionKey: { name: 'key', .* timeToLiveAttribute: 'expires'/),
    ]);
    const template = Template.fromStack(stack);
    expect(told(template)).toEqual({ ProcessorFunction: ['done', 'orders'] });
    expect(grants(template)).toEqual([`ProcessorFunctionRoleDefaultPolicy ${TABLE_ARN} ${rowsOf('orders')}`]);
    const decrypt = statementsOf(template).find(({ sid }) => sid === 'DecryptWhatIsDone');
    expect([decrypt?.resources, decrypt?.conditions]).toEqual([[encryptionKey.keyArn], ['StringEquals kms:ViaService dynamodb.eu-central-1.{URLSuffix}']]);
  });

  it('needs no statement for a key where it has none of a customer', () => {
    const stack = userStack();
    process(stack, 'Processor', { table: new Table(stack, 'Done', ROWS) });
    expect(statementsOf(Template.fromStack(stack)).map(({ sid }) => sid)).not.toContain('DecryptWhatIsDone');
  });

  it.each<[string, (stack: Stack) => ITable]>([
    ['a Table', (stack) => new Table(stack, 'Done', ROWS)],
    ['a TableV2', (stack) => new TableV2(stack, 'Done', ROWS)],
  ])('is taken as %s with the right keys', (_, newDone) => {
    const stack = userStack();
    process(stack, 'Processor', { table: newDone(stack) });
    expect(warningsOf(stack)).toEqual([]);
  });

  const text = (name: string) => ({ name, type: AttributeType.STRING });
  it.each<[string, Partial<Pick<TableProps, 'partitionKey' | 'sortKey' | 'timeToLiveAttribute'>>, RegExp]>([
    ['a sort key', { sortKey: text('kind') }, /has key \(HASH, S\), kind \(RANGE, S\), TTL expires; give it partitionKey: { name: 'key'/],
    ['a partition key of another name', { partitionKey: text('pk') }, /has pk \(HASH, S\), TTL expires/],
    ['a partition key of numbers', { partitionKey: { name: 'key', type: AttributeType.NUMBER } }, /has key \(HASH, N\), TTL expires/],
    ['no TTL', { timeToLiveAttribute: undefined }, /has key \(HASH, S\), no TTL; .*, or write an IdempotencyTable/],
    ['another TTL', { timeToLiveAttribute: 'ttl' }, /has key \(HASH, S\), TTL ttl; .* timeToLiveAttribute: 'expires'/],
  ])('is refused with %s', (_, wrong, message) => {
    const stack = userStack();
    const props = { ...ROWS, ...wrong };
    expect(() => process(stack, 'First', { table: new Table(stack, 'Done', props) })).toThrow(message);
    expect(() => process(stack, 'Second', { table: new TableV2(stack, 'DoneV2', props) })).toThrow(message);
  });

  it('is refused where it is the table whose changes are processed, however it is imported', () => {
    const stack = userStack('user', newApp(), EU);
    const rows = new Table(stack, 'Rows', { ...ROWS, stream: StreamViewType.NEW_IMAGE });
    expect(() => process(stack, 'First', { table: rows }, { table: rows })).toThrow(/the table of idempotency is the one whose changes are processed/);
    const imported = (id: string) =>
      Table.fromTableAttributes(stack, id, { tableArn: TABLE_ARN, tableStreamArn: `${TABLE_ARN}/stream/2026-01-01T00:00:00.000` });
    expect(() => process(stack, 'Second', { table: imported('One') }, { table: imported('Other') })).toThrow(/write another table/);
  });

  it.each([
    ['region', 'arn:aws:dynamodb:eu-west-1:111122223333:table/done', /the table of idempotency is in eu-west-1, and this stack in eu-central-1/],
    ['account', 'arn:aws:dynamodb:eu-central-1:444455556666:table/done', /the table of idempotency is in 444455556666, and this stack in 111122223333/],
  ])('is refused in another %s', (_, tableArn, message) => {
    const stack = userStack('user', newApp(), EU);
    expect(() => process(stack, 'Processor', { table: Table.fromTableAttributes(stack, 'Done', { tableArn }) })).toThrow(message);
  });

  it('is not made again, so options for making it are refused', () => {
    const stack = userStack();
    const table = new Table(stack, 'Done', ROWS);
    const message = /deletionProtection and removalPolicy of idempotency have no effect on a table that exists; set them where it is made/;
    expect(() => process(stack, 'First', { table, deletionProtection: true })).toThrow(message);
    expect(() => process(stack, 'Second', { table, removalPolicy: RemovalPolicy.DESTROY })).toThrow(message);
  });
});

describe('the table that is made', () => {
  const made = (idempotency: IdempotencyOptions | boolean, props: Partial<StreamProcessorProps> = {}) => {
    const { DeletionPolicy, Properties } = resource(processorTemplate({ idempotency, ...props }), 'AWS::DynamoDB::Table', 'Idempotency');
    return [DeletionPolicy, Properties.DeletionProtectionEnabled];
  };

  it('is kept as all else that is made is, and for good where it is protected', () => {
    const removalPolicy = RemovalPolicy.DESTROY;
    expect(made(true)).toEqual(['RetainExceptOnCreate', false]);
    expect(made(true, { removalPolicy })).toEqual(['Delete', false]);
    expect(made({ removalPolicy })).toEqual(['Delete', false]);
    expect(made({ deletionProtection: true })).toEqual(['Retain', true]);
    expect(made({ deletionProtection: true }, { removalPolicy })).toEqual(['Retain', true]);
    expect(made({ deletionProtection: true, removalPolicy })).toEqual(['Delete', true]);
  });

  it('is encrypted with the key that is given', () => {
    const stack = userStack();
    process(stack, 'Processor', true, { encryptionKey: new Key(stack, 'Mine') });
    const { SSESpecification } = resource(Template.fromStack(stack), 'AWS::DynamoDB::Table', 'Idempotency').Properties;
    expect(referred(SSESpecification.KMSMasterKeyId)).toContain('Mine');
  });
});

describe('alarms and dashboard', () => {
  it('look at what the function writes of its store', () => {
    const processor = newProcessor({ serviceName: 'orders', idempotency: true });
    const stack = Stack.of(processor);
    new StreamDashboard(stack, 'Dashboard', { processor, table: newTable(stack, 'Shown') });
    const template = Template.fromStack(stack);
    const dimensions = [{ Name: 'service', Value: 'orders' }];
    const shared = { Namespace: 'LambdaStreams', Statistic: 'Sum', Dimensions: dimensions, Threshold: 1, TreatMissingData: 'notBreaching' };
    expect(resource(template, 'AWS::CloudWatch::Alarm', 'MarkFailures').Properties).toMatchObject({ ...shared, Period: 300, EvaluationPeriods: 3 });
    expect(resource(template, 'AWS::CloudWatch::Alarm', 'MarkRegressions').Properties).toMatchObject({ ...shared, Period: 60, EvaluationPeriods: 1 });
    const body = JSON.stringify(resource(template, 'AWS::CloudWatch::Dashboard').Properties.DashboardBody);
    for (const metric of ['RecordsAlreadyDone', 'MarkFailures', 'MarkRegressions', 'MarkDuration', 'ReadThrottleEvents']) {
      expect(body).toContain(metric);
    }
  });

  it('are those of before where it is off, rows and their numbers included', () => {
    const rowsWith = (idempotency: boolean): string[] => {
      const processor = newProcessor({ idempotency });
      new StreamDashboard(Stack.of(processor), 'Dashboard', { processor, table: newTable(Stack.of(processor), 'Shown') });
      const body = JSON.stringify(resource(templateOf(processor), 'AWS::CloudWatch::Dashboard').Properties.DashboardBody);
      return [...body.matchAll(/## (\d\. [A-Za-z -]+)/g)].map(([, title]) => title!);
    };
    expect(rowsWith(false).slice(3)).toEqual(['4. The records', '5. What failed for good']);
    expect(rowsWith(true).slice(3)).toEqual(['4. The records', '5. What is already done', '6. What failed for good']);
  });
});

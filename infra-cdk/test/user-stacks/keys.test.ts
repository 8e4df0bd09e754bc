import { RemovalPolicy, Stack } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { Key } from 'aws-cdk-lib/aws-kms';
import { FilterCriteria, FilterRule } from 'aws-cdk-lib/aws-lambda';
import { describe, expect, it } from 'vitest';
import { AlarmTopic, EncryptionKey, OnDemandApi, ProcessorCode, ProcessorFunction, StreamProcessor } from '../../lib';
import { statementsOf } from '../../scripts/iam-statements';
import { BOOTSTRAP, newApp, newTable, ownFunction, processorTemplate, resources, userStack, warningsOf } from '../support';

const code = ProcessorCode.fromAsset(BOOTSTRAP);
const IMPORTED = 'arn:aws:kms:eu-central-1:111122223333:key/11111111-2222-3333-4444-555555555555';

/** The statements of key policies, but the account's own. */
function keyStatements(stack: Stack): string[] {
  return statementsOf(Template.fromStack(stack))
    .filter(({ holder, actions }) => holder.includes('Key') && !actions.includes('kms:*'))
    .map(({ holder, sid, principal, conditions }) => `${holder} ${sid} ${principal} ${conditions.join()}`);
}

const LOGS =
  'EncryptLogGroupsOfThisAccount logs.{Region}.amazonaws.com ' +
  'ArnLike kms:EncryptionContext:aws:logs:arn arn:{Partition}:logs:{Region}:{AccountId}:log-group:*';

describe('a key of the same app lets CloudWatch Logs use it', () => {
  it.each([
    ['Key', (stack: Stack) => new Key(stack, 'MyKey')],
    ['EncryptionKey', (stack: Stack) => new EncryptionKey(stack, 'MyKey', { description: 'mine' })],
  ])('a %s for everything, once', (_, newKey) => {
    const stack = userStack();
    const encryptionKey = newKey(stack);
    for (const id of ['First', 'Second']) {
      new StreamProcessor(stack, id, { table: newTable(stack, `${id}Table`), code, encryptionKey });
    }
    expect(keyStatements(stack)).toEqual([`MyKey ${LOGS}`]);
    expect(warningsOf(stack)).toEqual([]);
    Template.fromStack(stack).resourceCountIs('AWS::KMS::Key', 1);
  });

  it('a key of another stack', () => {
    const app = newApp();
    const keys = userStack('keys', app);
    const encryptionKey = new Key(keys, 'MyKey');
    const stack = userStack('user', app);
    new StreamProcessor(stack, 'Processor', { table: newTable(stack), code, encryptionKey });
    expect(Template.fromStack(stack)).toBeDefined();
    expect(keyStatements(keys).filter((statement) => statement.includes('EncryptLogGroups'))).toEqual([`MyKey ${LOGS}`]);
  });

  it('a key of a function alone, and of an API alone', () => {
    const stack = userStack();
    const failedInvocations = new StreamProcessor(stack, 'P', { table: newTable(stack), code, alarms: false }).failedInvocations!;
    new ProcessorFunction(stack, 'F', { code, failedInvocations, encryptionKey: new Key(stack, 'KeyOfFunction') });
    const handler = ownFunction(stack);
    new OnDemandApi(stack, 'A', { handler, allowedCidrs: ['8.8.8.8/32'], encryptionKey: new Key(stack, 'KeyOfApi') });
    expect(keyStatements(stack)).toEqual(expect.arrayContaining([`KeyOfFunction ${LOGS}`, `KeyOfApi ${LOGS}`]));
  });

  it('a key of alarms lets CloudWatch publish', () => {
    const stack = userStack();
    new AlarmTopic(stack, 'Topic', { encryptionKey: new Key(stack, 'MyKey') });
    expect(keyStatements(stack)).toEqual([
      'MyKey PublishAlarmsOfThisAccount cloudwatch.amazonaws.com StringEquals aws:SourceAccount {AccountId}',
    ]);
  });
});

describe('an imported key', () => {
  it('is used, and a warning says which statement its policy must have', () => {
    const stack = userStack();
    const encryptionKey = Key.fromKeyArn(stack, 'Imported', IMPORTED);
    new StreamProcessor(stack, 'Processor', { table: newTable(stack), code, encryptionKey });
    const [warning, ...others] = warningsOf(stack);
    expect(others).toEqual([]);
    expect(warning).toMatch(/the imported key user\/Imported cannot be changed here, and without this statement CloudWatch Logs would refuse/);
    expect(warning).toContain('kms:EncryptionContext:aws:logs:arn');
    expect(Object.values(resources(Template.fromStack(stack), 'AWS::Logs::LogGroup'))[0]!.Properties.KmsKeyId).toBe(IMPORTED);
  });

  it('of filters is warned of too', () => {
    const stack = userStack();
    const filters = [FilterCriteria.filter({ eventName: FilterRule.isEqual('REMOVE') })];
    const filterEncryption = Key.fromKeyArn(stack, 'Imported', IMPORTED);
    new StreamProcessor(stack, 'Processor', { table: newTable(stack), code, mapping: { filters, filterEncryption } });
    expect(warningsOf(stack)).toEqual([expect.stringMatching(/Lambda could not read the filters: .*lambda\.amazonaws\.com/)]);
  });

  it('of an alarm topic is warned of too', () => {
    const stack = userStack();
    new AlarmTopic(stack, 'Topic', { encryptionKey: Key.fromKeyArn(stack, 'Imported', IMPORTED) });
    expect(warningsOf(stack)).toEqual([expect.stringMatching(/alarms would reach nobody: .*cloudwatch\.amazonaws\.com/)]);
  });
});

describe('what is kept when the stack is deleted', () => {
  it('goes where the first deployment fails, by default', () => {
    const kept = ['AWS::KMS::Key', 'AWS::SQS::Queue', 'AWS::S3::Bucket', 'AWS::Logs::LogGroup'];
    const policies = (template: Template) =>
      new Set(kept.flatMap((type) => Object.values(resources(template, type)).map(({ DeletionPolicy }) => DeletionPolicy)));
    expect(policies(processorTemplate({ redrive: true }))).toEqual(new Set(['RetainExceptOnCreate']));
    expect(policies(processorTemplate({ removalPolicy: RemovalPolicy.RETAIN }))).toEqual(new Set(['Retain']));
  });
});

import { Duration, NestedStack, Stack } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { Key } from 'aws-cdk-lib/aws-kms';
import { Alias, Function, IFunction } from 'aws-cdk-lib/aws-lambda';
import { Queue } from 'aws-cdk-lib/aws-sqs';
import { describe, expect, it } from 'vitest';
import { FailureDestination, ProcessorCode, StreamProcessor, StreamProcessorProps } from '../../lib';
import { statementsOf } from '../../scripts/iam-statements';
import { BOOTSTRAP, newApp, newProcessor, newTable, ownFunction, referred, resource, resources, userStack, warningsOf } from '../support';

const code = ProcessorCode.fromAsset(BOOTSTRAP);

function sidsOf(stack: Stack): string[] {
  return statementsOf(Template.fromStack(stack))
    .map(({ sid }) => sid)
    .filter((sid) => sid !== '');
}

function imported(stack: Stack, id = 'Imported'): IFunction {
  return Function.fromFunctionAttributes(stack, id, {
    functionArn: 'arn:aws:lambda:eu-central-1:111122223333:function:orders',
    role: Role.fromRoleArn(stack, `${id}Role`, 'arn:aws:iam::111122223333:role/orders'),
    sameEnvironment: true,
  });
}

describe('a function of the same stack', () => {
  it('keeps its settings and gets variables and grants', () => {
    const stack = userStack();
    const handler = ownFunction(stack, 'Mine', { memorySize: 333, environment: { OWN: 'kept' } });
    new StreamProcessor(stack, 'Processor', { table: newTable(stack), handler });
    const { MemorySize, Environment, Timeout } = resource(Template.fromStack(stack), 'AWS::Lambda::Function').Properties;
    expect([MemorySize, Timeout]).toEqual([333, undefined]);
    expect(Environment.Variables).toMatchObject({ OWN: 'kept', LAMBDA_STREAMS_REPORT_BATCH_ITEM_FAILURES: 'true' });
    expect(Environment.Variables).toHaveProperty('DLQ_URL');
    expect(sidsOf(stack)).toEqual(expect.arrayContaining(['ReadTheStream', 'SendDeadLetters', 'WriteDiscardedBatches']));
  });

  it('serves one processor alone', () => {
    const stack = userStack();
    const handler = ownFunction(stack);
    new StreamProcessor(stack, 'First', { table: newTable(stack), handler });
    expect(() => new StreamProcessor(stack, 'Second', { table: newTable(stack, 'Other'), handler })).toThrow(
      /^user\/Second: handler is the function of user\/First already, and a function has one environment: .* make a second function of the same code/,
    );
  });

  it('serves one processor alone in a nested stack too, whose function may name a queue outside of it', () => {
    const stack = userStack();
    const nested = new NestedStack(stack, 'Nested');
    new StreamProcessor(stack, 'Processor', { table: newTable(stack), handler: ownFunction(nested), redrive: true });
    const { Variables } = resource(Template.fromStack(nested), 'AWS::Lambda::Function').Properties.Environment;
    const { Parameters } = resource(Template.fromStack(stack), 'AWS::CloudFormation::Stack').Properties;
    expect(referred(Parameters[Variables.DLQ_URL.Ref])).toContain('ProcessorDeadLetters');
    for (const { DependsOn } of Object.values(resources(Template.fromStack(stack), 'AWS::Lambda::EventSourceMapping'))) {
      expect(DependsOn).toEqual([expect.stringContaining('ProcessorPolicy')]);
    }
  });

  it('that a processor made cannot be given to another one', () => {
    const first = newProcessor();
    const stack = Stack.of(first);
    const props = { table: newTable(stack, 'Other'), handler: first.function };
    expect(() => new StreamProcessor(stack, 'Second', props)).toThrow(/handler is the function of user\/Processor already/);
  });

  it('has a timeout that need not be said, and not be said wrong', () => {
    const stack = userStack();
    const props = { table: newTable(stack), handler: ownFunction(stack), timeout: Duration.seconds(30) };
    expect(() => new StreamProcessor(stack, 'Processor', props)).toThrow(/timeout is 30 seconds, but that of handler is 3 seconds; leave it out/);
    expect(() => newProcessor({ timeout: Duration.seconds(30) })).toThrow(/write functionOptions: { timeout }/);
  });
});

describe('one role for two functions', () => {
  it('has each Sid once', () => {
    const stack = userStack();
    const role = new Role(stack, 'Shared', { assumedBy: new ServicePrincipal('lambda.amazonaws.com') });
    for (const id of ['First', 'Second']) {
      new StreamProcessor(stack, id, { table: newTable(stack, `${id}Table`), code, functionOptions: { role } });
    }
    const policy = resource(Template.fromStack(stack), 'AWS::IAM::Policy', 'SharedDefaultPolicy');
    const sids: string[] = policy.Properties.PolicyDocument.Statement.map(({ Sid }: any) => Sid).filter(Boolean);
    expect(sids).toEqual(expect.arrayContaining(['ReadTheStream', 'ReadTheStream2', 'WriteLogs', 'WriteLogs2']));
    expect(new Set(sids).size).toBe(sids.length);
  });

  it('is warned of for a third one, whose statements IAM might not take', () => {
    const stack = userStack();
    const role = new Role(stack, 'Shared', { assumedBy: new ServicePrincipal('lambda.amazonaws.com') });
    const more = (id: string) => new StreamProcessor(stack, id, { table: newTable(stack, `${id}Table`), code, functionOptions: { role } });
    ['First', 'Second'].forEach(more);
    expect(warningsOf(stack)).toEqual([]);
    more('Third');
    expect(warningsOf(stack)).toEqual([expect.stringMatching(/the role user\/Shared runs 3 functions, .* IAM takes 10,240 of inline policies/)]);
  });

  it('of another stack has a policy in the stack of each, so no stack depends on the other', () => {
    const app = newApp();
    const roles = userStack('roles', app);
    const role = new Role(roles, 'Shared', { assumedBy: new ServicePrincipal('lambda.amazonaws.com') });
    const stack = userStack('user', app);
    new StreamProcessor(stack, 'Processor', { table: newTable(stack), code, functionOptions: { role } });
    const template = Template.fromStack(stack);
    expect(sidsOf(stack)).toEqual(expect.arrayContaining(['WriteLogs', 'ReadTheStream', 'SendDeadLetters']));
    const [policy] = Object.keys(resources(template, 'AWS::IAM::Policy')).filter((id) => id.startsWith('ProcessorFunctionPolicy'));
    expect(resource(template, 'AWS::Lambda::Function').DependsOn).toContain(policy);
  });

  it('that is not to be changed gets nothing', () => {
    const stack = userStack();
    const role = Role.fromRoleArn(stack, 'Fixed', 'arn:aws:iam::111122223333:role/fixed', { mutable: false });
    new StreamProcessor(stack, 'Processor', { table: newTable(stack), code, functionOptions: { role } });
    Template.fromStack(stack).resourceCountIs('AWS::IAM::Policy', 0);
  });
});

describe('a function of another stack', () => {
  const twoStacks = () => {
    const app = newApp();
    return { functions: userStack('functions', app), stack: userStack('user', app) };
  };

  it('is refused with the way out, where the dead-letter queue is made here', () => {
    const { functions, stack } = twoStacks();
    const props = { table: newTable(stack), handler: ownFunction(functions) };
    expect(() => new StreamProcessor(stack, 'Processor', props)).toThrow(
      /^user\/Processor: handler is a function of the stack functions, .* each stack would depend on the other. Make it in functions and give it as deadLetterQueue, or move this construct there/,
    );
  });

  it('works with a dead-letter queue of its stack: the grants are a policy of this stack', () => {
    const { functions, stack } = twoStacks();
    const handler = ownFunction(functions);
    const deadLetterQueue = new Queue(functions, 'Failed', { encryptionMasterKey: new Key(functions, 'Key') });
    new StreamProcessor(stack, 'Processor', { table: newTable(stack), handler, deadLetterQueue, redrive: true });
    const template = Template.fromStack(stack);
    const policy = resource(template, 'AWS::IAM::Policy', 'ProcessorPolicy').Properties;
    expect(policy.PolicyDocument.Statement.map(({ Sid }: any) => Sid)).toEqual(
      expect.arrayContaining(['SendDeadLetters', 'ReadTheStream', 'WriteDiscardedBatches', 'TakeDeadLettersBack']),
    );
    const [id] = Object.keys(resources(template, 'AWS::IAM::Policy')).filter((name) => name.startsWith('ProcessorPolicy'));
    for (const { DependsOn } of Object.values(resources(template, 'AWS::Lambda::EventSourceMapping'))) {
      expect(DependsOn).toContain(id);
    }
    const { Variables } = resource(Template.fromStack(functions), 'AWS::Lambda::Function').Properties.Environment;
    expect(referred(Variables.DLQ_URL)).toContain('Failed');
  });
});

describe('an imported function', () => {
  it('has a mapping that waits for its policy', () => {
    const stack = userStack();
    new StreamProcessor(stack, 'Processor', { table: newTable(stack), handler: imported(stack), timeout: Duration.seconds(30), redrive: true });
    const template = Template.fromStack(stack);
    const [id, policy] = Object.entries(resources(template, 'AWS::IAM::Policy')).find(([name]) => name.startsWith('ProcessorPolicy'))!;
    expect(policy.Properties.Roles).toEqual(['orders']);
    expect(sidsOf(stack)).toContain('ReadTheStream');
    for (const { DependsOn } of Object.values(resources(template, 'AWS::Lambda::EventSourceMapping'))) {
      expect(DependsOn).toContain(id);
    }
  });

  it('of another stack of the app makes no dependency cycle', () => {
    const app = newApp();
    const functions = userStack('functions', app);
    const stack = userStack('user', app);
    new StreamProcessor(stack, 'Processor', { table: newTable(functions), handler: imported(functions), timeout: Duration.seconds(30) });
    expect(sidsOf(stack)).toContain('ReadTheStream');
  });

  it('has its timeout said', () => {
    const stack = userStack();
    const props = { table: newTable(stack), handler: imported(stack) };
    expect(() => new StreamProcessor(stack, 'Processor', props)).toThrow(
      /the timeout of handler is unknown, since it is imported; write it as timeout/,
    );
    const template = Template.fromStack(Stack.of(new StreamProcessor(stack, 'Said', { ...props, timeout: Duration.seconds(30) })));
    expect(resource(template, 'AWS::SQS::Queue', 'SaidDeadLetters').Properties.VisibilityTimeout).toBe(180);
    expect(resource(template, 'AWS::CloudWatch::Alarm', 'DurationNearTimeout').Properties.Threshold).toBe(24_000);
  });

  it('is warned of, since its variables are to be set elsewhere', () => {
    const stack = userStack();
    new StreamProcessor(stack, 'Processor', { table: newTable(stack), handler: imported(stack), timeout: Duration.seconds(30) });
    expect(warningsOf(stack)).toEqual([expect.stringMatching(/handler user\/Imported is imported, .* set DLQ_URL, .*LAMBDA_STREAMS_CONCURRENCY/)]);
  });

  it('serves one processor alone, however often it is imported', () => {
    const stack = userStack();
    const props = { timeout: Duration.seconds(30) };
    new StreamProcessor(stack, 'First', { ...props, table: newTable(stack), handler: imported(stack) });
    const again = { ...props, table: newTable(stack, 'Other'), handler: imported(stack, 'Again') };
    expect(() => new StreamProcessor(stack, 'Second', again)).toThrow(/^user\/Second: handler is the function of user\/First already/);
  });

  it('whose role is unknown is refused', () => {
    const stack = userStack();
    const props = { table: newTable(stack), handler: Function.fromFunctionName(stack, 'Known', 'by-name-only'), timeout: Duration.seconds(3) };
    expect(() => new StreamProcessor(stack, 'Processor', props)).toThrow(/the role of handler is unknown/);
  });
});

describe('an alias', () => {
  function withAlias(): Stack {
    const stack = userStack();
    const own = ownFunction(stack, 'Mine', { timeout: Duration.seconds(30) });
    const handler = new Alias(stack, 'Live', { aliasName: 'live', version: own.currentVersion });
    new StreamProcessor(stack, 'Processor', { table: newTable(stack), handler, redrive: true });
    return stack;
  }

  it('is what both mappings invoke', () => {
    for (const { Properties } of Object.values(resources(Template.fromStack(withAlias()), 'AWS::Lambda::EventSourceMapping'))) {
      expect(JSON.stringify(Properties.FunctionName)).toContain('Live');
    }
  });

  it('gives its function the variables, and its timeout to what depends on it', () => {
    const template = Template.fromStack(withAlias());
    const { Environment } = resource(template, 'AWS::Lambda::Function').Properties;
    expect(Environment.Variables).toMatchObject({ LAMBDA_STREAMS_HANDLER_TIMEOUT_MS: '7500' });
    expect(referred(Environment.Variables.DLQ_URL)).toContain('DeadLetters');
    expect(resource(template, 'AWS::SQS::Queue', 'DeadLetters').Properties.VisibilityTimeout).toBe(180);
    expect(resource(template, 'AWS::CloudWatch::Alarm', 'DurationNearTimeout').Properties.Threshold).toBe(24_000);
  });

  it('of a function that has a processor already is refused', () => {
    const stack = userStack();
    const own = ownFunction(stack);
    new StreamProcessor(stack, 'First', { table: newTable(stack), handler: own });
    const handler = new Alias(stack, 'Live', { aliasName: 'live', version: own.currentVersion });
    const onFailure = FailureDestination.queue(new Queue(stack, 'Discarded'));
    const props = { table: newTable(stack, 'Other'), handler, onFailure };
    expect(() => new StreamProcessor(stack, 'Second', props)).toThrow(/is the function of user\/First already/);
  });
});

describe('two processors', () => {
  const warned = (props: Partial<StreamProcessorProps>, own = {}): string[] => {
    const stack = userStack();
    const deadLetterQueue = new Queue(stack, 'Failed');
    new StreamProcessor(stack, 'First', { table: newTable(stack), code, deadLetterQueue, ...props });
    new StreamProcessor(stack, 'Second', { table: newTable(stack, 'Other'), code, deadLetterQueue, ...props, ...own });
    return warningsOf(stack);
  };

  it('of one service name are warned of, since their metrics would be one', () => {
    expect(warned({ serviceName: 'orders' })).toEqual([expect.stringMatching(/serviceName is "orders", as that of user\/First: their metrics are one/)]);
    expect(warned({ serviceName: 'orders' }, { metricsNamespace: 'Other' })).toEqual([]);
  });

  it('of one dead-letter queue are warned of where one puts letters back', () => {
    const both = [expect.stringMatching(/deadLetterQueue is that of user\/First too, and a redrive moves the letters of both into one function/)];
    expect(warned({ redrive: true })).toEqual(both);
    expect(warned({}, { redrive: true })).toEqual(both);
    expect(warned({ redrive: true }, { redrive: false })).toEqual(both);
    expect(warned({})).toEqual([]);
  });
});

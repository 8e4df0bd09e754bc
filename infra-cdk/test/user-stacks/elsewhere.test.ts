import { Duration, Stack } from 'aws-cdk-lib';
import { Role } from 'aws-cdk-lib/aws-iam';
import { Key } from 'aws-cdk-lib/aws-kms';
import { Function } from 'aws-cdk-lib/aws-lambda';
import { Queue } from 'aws-cdk-lib/aws-sqs';
import { describe, expect, it } from 'vitest';
import { ProcessorCode, StreamProcessor, StreamProcessorProps } from '../../lib';
import { BOOTSTRAP, newApp, newTable, userStack } from '../support';

const code = ProcessorCode.fromAsset(BOOTSTRAP);
const HERE = { region: 'eu-central-1', account: '111122223333' };
const REGION = 'us-east-1:111122223333';
const ACCOUNT = 'eu-central-1:444455556666';

type Props = Partial<StreamProcessorProps>;

function process(of: (stack: Stack) => Props): StreamProcessor {
  const stack = userStack('user', newApp(), { env: HERE });
  return new StreamProcessor(stack, 'Processor', { table: newTable(stack), ...of(stack) });
}

function queue(stack: Stack, place: string): Props {
  return { code, deadLetterQueue: Queue.fromQueueArn(stack, 'Queue', `arn:aws:sqs:${place}:letters`) };
}

function key(stack: Stack, place: string): Props {
  return { code, encryptionKey: Key.fromKeyArn(stack, 'Key', `arn:aws:kms:${place}:key/abc`) };
}

function role(stack: Stack, account: string): Props {
  return { code, functionOptions: { role: Role.fromRoleArn(stack, 'Role', `arn:aws:iam::${account}:role/mine`) } };
}

function handler(stack: Stack, place: string): Props {
  const functionArn = `arn:aws:lambda:${place}:function:mine`;
  const imported = Function.fromFunctionAttributes(stack, 'Mine', { functionArn, role: Role.fromRoleArn(stack, 'Role', 'arn:aws:iam::111122223333:role/mine') });
  return { handler: imported, timeout: Duration.seconds(30) };
}

describe('what is in another region or account, and cannot be used from there, is refused:', () => {
  it.each<[string, (stack: Stack) => Props, RegExp]>([
    ['a dead-letter queue of another region', (stack) => queue(stack, REGION), /deadLetterQueue is in us-east-1, and this stack in eu-central-1: its alarms/],
    ['a dead-letter queue of another account', (stack) => queue(stack, ACCOUNT), /deadLetterQueue is in 444455556666, and this stack in 111122223333: its alarms/],
    ['a key of another region', (stack) => key(stack, REGION), /encryptionKey is in us-east-1, .* write a key of this one/],
    ['a role of another account', (stack) => role(stack, '444455556666'), /role is in 444455556666, .* as a role of its own account only/],
    ['a function of another region', (stack) => handler(stack, REGION), /handler is in us-east-1, .* deploy this construct there/],
    ['a function of another account', (stack) => handler(stack, ACCOUNT), /handler is in 444455556666, .* deploy this construct there/],
  ])('%s', (_, of, message) => {
    expect(() => process(of)).toThrow(message);
    expect(() => process(of)).toThrow(/^user\/Processor/);
  });

  it.each<[string, (stack: Stack) => Props]>([
    ['queue', (stack) => queue(stack, 'eu-central-1:111122223333')],
    ['key', (stack) => key(stack, 'eu-central-1:444455556666')],
    ['role', (stack) => role(stack, '111122223333')],
    ['function', (stack) => handler(stack, 'eu-central-1:111122223333')],
  ])('but not a %s that can be used', (_, of) => {
    expect(() => process(of)).not.toThrow();
  });
});

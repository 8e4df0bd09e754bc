import { Template } from 'aws-cdk-lib/assertions';
import { Key } from 'aws-cdk-lib/aws-kms';
import { SqsDestination } from 'aws-cdk-lib/aws-lambda-destinations';
import { Bucket } from 'aws-cdk-lib/aws-s3';
import { Topic } from 'aws-cdk-lib/aws-sns';
import { Queue } from 'aws-cdk-lib/aws-sqs';
import { describe, expect, it } from 'vitest';
import { FailureDestination, ProcessorCode, ProcessorFunction, StreamProcessor } from '../../lib';
import { statementsOf } from '../../scripts/iam-statements';
import { BOOTSTRAP, newTable, referred, resource, resources, streamMapping, userStack } from '../support';

const code = ProcessorCode.fromAsset(BOOTSTRAP);

describe('discarded batches', () => {
  it('go to a topic, which the role may publish to', () => {
    const stack = userStack();
    const onFailure = FailureDestination.topic(new Topic(stack, 'Discarded', { masterKey: new Key(stack, 'TopicKey') }));
    new StreamProcessor(stack, 'Processor', { table: newTable(stack), code, onFailure });
    const template = Template.fromStack(stack);
    expect(referred(streamMapping(template).Properties.DestinationConfig.OnFailure.Destination)).toContain('Discarded');
    const grants = Object.fromEntries(statementsOf(template).map((statement) => [statement.sid, statement]));
    expect(grants.PublishDiscardedBatches).toMatchObject({ actions: ['sns:Publish'], resources: ['Discarded'] });
    expect(grants.EncryptDiscardedBatches).toMatchObject({
      resources: ['TopicKey.Arn'],
      conditions: ['StringEquals kms:ViaService sns.{Region}.{URLSuffix}'],
    });
    template.resourceCountIs('AWS::S3::Bucket', 0);
  });

  it('go to a bucket of another account, as that account owns it', () => {
    const stack = userStack();
    const bucket = Bucket.fromBucketAttributes(stack, 'Bucket', { bucketArn: 'arn:aws:s3:::discarded', account: '777788889999' });
    new StreamProcessor(stack, 'Processor', { table: newTable(stack), code, onFailure: FailureDestination.bucket(bucket) });
    const grants = statementsOf(Template.fromStack(stack)).filter(({ sid }) => sid === 'WriteDiscardedBatches');
    expect(grants).toMatchObject([{ conditions: ['StringEquals s3:ResourceAccount 777788889999'] }]);
  });

  it('go to no FIFO queue and no FIFO topic, which Lambda does not write to', () => {
    const stack = userStack();
    const queue = new Queue(stack, 'Queue', { fifo: true });
    const topic = new Topic(stack, 'Topic', { fifo: true });
    expect(() => FailureDestination.queue(queue)).toThrow(/^user\/Queue: a FIFO queue cannot be a destination, .* without fifo/);
    expect(() => FailureDestination.topic(topic)).toThrow(/^user\/Topic: a FIFO topic cannot be a destination, .* without fifo/);
  });
});

describe('dead letters', () => {
  it('go to a FIFO queue, since the function itself sends them', () => {
    const stack = userStack();
    const deadLetterQueue = new Queue(stack, 'Failed', { fifo: true });
    new StreamProcessor(stack, 'Processor', { table: newTable(stack), code, deadLetterQueue });
    const template = Template.fromStack(stack);
    expect(referred(resource(template, 'AWS::Lambda::Function').Properties.Environment.Variables.DLQ_URL)).toContain('Failed');
    expect(statementsOf(template).find(({ sid }) => sid === 'SendDeadLetters')?.resources).toEqual(['Failed.Arn']);
  });
});

describe('failed asynchronous invocations', () => {
  it('go to no FIFO queue', () => {
    const stack = userStack();
    const props = { code, encryptionKey: new Key(stack, 'Key'), failedInvocations: new Queue(stack, 'Queue', { fifo: true }) };
    expect(() => new ProcessorFunction(stack, 'Function', props)).toThrow(/a FIFO queue cannot be a destination/);
  });

  it('go to a destination of the user, instead of a queue that is made', () => {
    const stack = userStack();
    const onFailure = new SqsDestination(new Queue(stack, 'MyFailures'));
    const processor = new StreamProcessor(stack, 'Processor', { table: newTable(stack), code, functionOptions: { onFailure } });
    expect(processor.failedInvocations).toBeUndefined();
    const template = Template.fromStack(stack);
    const config = resource(template, 'AWS::Lambda::EventInvokeConfig').Properties;
    expect(referred(config.DestinationConfig.OnFailure.Destination)).toContain('MyFailures');
    expect(Object.keys(resources(template, 'AWS::SQS::Queue')).filter((id) => id.includes('FailedInvocations'))).toEqual([]);
  });

  it('of an on-demand function go to the same place', () => {
    const stack = userStack();
    const onFailure = new SqsDestination(new Queue(stack, 'MyFailures'));
    const processor = new StreamProcessor(stack, 'Processor', { table: newTable(stack), code, functionOptions: { onFailure } });
    processor.createOnDemandFunction(stack, 'OnDemand');
    const configs = Object.values(resources(Template.fromStack(stack), 'AWS::Lambda::EventInvokeConfig'));
    expect(configs.map(({ Properties }) => referred(Properties.DestinationConfig.OnFailure.Destination))).toEqual(
      Array(2).fill(expect.stringContaining('MyFailures')),
    );
  });

  it('go to one place', () => {
    const stack = userStack();
    const queue = new Queue(stack, 'Queue');
    const base = { code, encryptionKey: new Key(stack, 'Key') };
    expect(() => new ProcessorFunction(stack, 'None', base)).toThrow(/give either failedInvocations, a queue, or onFailure, a destination/);
    const both = { ...base, failedInvocations: queue, onFailure: new SqsDestination(queue) };
    expect(() => new ProcessorFunction(stack, 'Both', both)).toThrow(/give either failedInvocations/);
    const deadLetters = { ...base, failedInvocations: queue, deadLetterQueue: queue };
    expect(() => new ProcessorFunction(stack, 'Third', deadLetters)).toThrow(/go to a destination here; write onFailure instead/);
  });
});

import { App, Duration, Stack } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { Queue } from 'aws-cdk-lib/aws-sqs';
import { beforeAll, describe, expect, it } from 'vitest';
import { FailureDestination, OnDemandApi, ProcessorCode, StreamProcessor } from '../lib';
import { BOOTSTRAP, demoTemplate, newApp, newDemo, newProcessor, newTable, referred, resource, resources, streamMapping } from './support';

let demo: Template;

beforeAll(() => {
  demo = demoTemplate();
});

// Each test is named after a mistake that stacks like this one ship with.
describe('not made here', () => {
  it('a record both sent to the queue and reported as failed', () => {
    const { Variables } = resource(demo, 'AWS::Lambda::Function', 'Processor').Properties.Environment;
    const mapping = streamMapping(demo).Properties;
    expect(Variables.LAMBDA_STREAMS_REPORT_BATCH_ITEM_FAILURES).toBe('true');
    expect(mapping.FunctionResponseTypes).toEqual(['ReportBatchItemFailures']);
    expect(referred(mapping.DestinationConfig.OnFailure.Destination)).not.toBe(referred(Variables.DLQ_URL));
    const retried = (mapping.MaximumRecordAgeInSeconds as number) - Number(Variables.LAMBDA_STREAMS_GIVE_UP_AFTER_SECONDS);
    expect(retried).toBeGreaterThan(0);
  });

  it('three message shapes in one queue', () => {
    const { Variables } = resource(demo, 'AWS::Lambda::Function', 'Processor').Properties.Environment;
    const envelopes = referred(Variables.DLQ_URL);
    const batches = referred(streamMapping(demo).Properties.DestinationConfig.OnFailure.Destination);
    const [invocations] = Object.values(resources(demo, 'AWS::Lambda::EventInvokeConfig')).map(({ Properties }) =>
      referred(Properties.DestinationConfig.OnFailure.Destination),
    );
    expect(new Set([envelopes, batches, invocations]).size).toBe(3);
  });

  it('three message shapes in one queue, though a user asks for it', () => {
    const stack = new Stack(newApp(), 'user');
    const queue = new Queue(stack, 'Failed');
    const code = ProcessorCode.fromAsset(BOOTSTRAP);
    const props = { table: newTable(stack), code, deadLetterQueue: queue, onFailure: FailureDestination.queue(queue) };
    expect(() => new StreamProcessor(stack, 'Processor', props)).toThrow(/deadLetterQueue and onFailure are the same queue/);
  });

  it('a cache that is paid for on a POST and never used', () => {
    const settings: any[] = resource(demo, 'AWS::ApiGateway::Stage').Properties.MethodSettings;
    expect(settings.filter(({ CachingEnabled }) => CachingEnabled).map(({ HttpMethod }) => HttpMethod)).toEqual(['GET']);
    expect(settings.find(({ HttpMethod }) => HttpMethod === '*').CachingEnabled).toBe(false);
  });

  it.each(['10.0.0.0/8', '10.1.2.0/24', '172.16.0.0/12', '172.31.255.0/24', '192.168.1.0/24', '100.64.0.0/10', 'fd00::/8'])(
    'private ranges as the allow-list of a public API: %s',
    (cidr) => {
      expect(() => newDemo({ allowedCidrs: [cidr] })).toThrow(/private range .* write the public address/);
    },
  );

  it('a passthrough that lets a caller forge Records', () => {
    for (const { Properties } of Object.values(resources(demo, 'AWS::ApiGateway::Method'))) {
      expect(Properties.Integration.Type).toBe('AWS_PROXY');
      expect(Properties.Integration.PassthroughBehavior).toBe('NEVER');
    }
  });

  it('request values pasted unescaped into a mapping template', () => {
    expect(JSON.stringify(demo.toJSON())).not.toMatch(/RequestTemplates|ResponseTemplates|\$input/);
  });

  it('a validator without a model', () => {
    const post = Object.values(resources(demo, 'AWS::ApiGateway::Method')).find(({ Properties }) => Properties.HttpMethod === 'POST')!;
    const validator = resources(demo, 'AWS::ApiGateway::RequestValidator')[referred(post.Properties.RequestValidatorId)]!;
    expect(validator.Properties.ValidateRequestBody).toBe(true);
    const model = resources(demo, 'AWS::ApiGateway::Model')[referred(post.Properties.RequestModels['application/json'])]!;
    expect(model.Properties.ContentType).toBe('application/json');
    const { properties, additionalProperties } = model.Properties.Schema;
    expect(additionalProperties).toBe(false);
    expect(properties.Records.items.required).toEqual(['eventName', 'eventSource', 'dynamodb']);
    expect(properties.Records.maxItems).toBe(100);
  });

  it('full request bodies in the API log', () => {
    const settings: any[] = resource(demo, 'AWS::ApiGateway::Stage').Properties.MethodSettings;
    expect(settings.map(({ DataTraceEnabled }) => DataTraceEnabled)).toEqual(settings.map(() => false));
    expect(settings.map(({ LoggingLevel }) => LoggingLevel)).toEqual(settings.map(() => 'ERROR'));
  });

  it('a function timeout of 60 s with an API limit of 29 s', () => {
    expect(resource(demo, 'AWS::Lambda::Function', 'OnDemand').Properties.Timeout).toBeLessThan(29);
    const processor = newProcessor();
    const props = { handler: processor.function, allowedCidrs: ['203.0.113.7/32'], encryptionKey: processor.encryptionKey };
    expect(() => new OnDemandApi(Stack.of(processor), 'Api', props)).toThrow(/timeout is 1 minute, but API Gateway answers 504 after 29/);
  });

  it('one concurrency limit shared by API and stream without a thought', () => {
    const functions = Object.entries(resources(demo, 'AWS::Lambda::Function'));
    expect(functions.map(([, { Properties }]) => Properties.ReservedConcurrentExecutions).sort()).toEqual([100, 250]);
    const behindApi = functions.find(([id]) => id.startsWith('OnDemand'))![0];
    expect(referred(streamMapping(demo).Properties.FunctionName)).not.toBe(behindApi);
  });

  it('fixed physical names that allow one stack per account', () => {
    const app: App = newApp();
    const stacks = ['blue', 'green'].map((id) => newDemo({}, id, app));
    const [one, two] = stacks.map((stack) => Template.fromStack(stack).toJSON()) as [any, any];
    const named = Object.values<any>(one.Resources).filter(({ Properties }) =>
      ['FunctionName', 'TableName', 'QueueName', 'BucketName', 'RoleName', 'TopicName', 'AlarmName', 'DashboardName', 'Alias'].some(
        (name) => typeof Properties?.[name] === 'string',
      ),
    );
    expect(named).toEqual([]);
    const services = [one, two].map((template) => JSON.stringify(template).match(/"POWERTOOLS_SERVICE_NAME":"([^"]+)"/)![1]);
    expect(services[0]).not.toBe(services[1]);
  });

  it('an alarms section that is a comment', () => {
    const alarms = Object.values(resources(demo, 'AWS::CloudWatch::Alarm'));
    expect(alarms.length).toBeGreaterThanOrEqual(12);
    expect(alarms.filter(({ Properties }) => !Properties.AlarmActions?.length)).toEqual([]);
  });

  it('a metric line dropped because the log level is above it', () => {
    for (const [logLevel, lambdaLevel] of [['error', 'INFO'], ['warn', 'INFO'], ['debug', 'DEBUG'], ['trace', 'TRACE']] as const) {
      const template = demoTemplate({ settings: { logLevel: logLevel as never } });
      const { Environment, LoggingConfig } = resource(template, 'AWS::Lambda::Function', 'Processor').Properties;
      expect(Environment.Variables.LAMBDA_STREAMS_LOG_LEVEL).toBe(logLevel);
      expect(LoggingConfig.ApplicationLogLevel).toBe(lambdaLevel);
    }
  });

  it('dead letters mapped back to the function that writes them, a loop without end', () => {
    const sources = Object.values(resources(demo, 'AWS::Lambda::EventSourceMapping')).map(({ Properties }) => referred(Properties.EventSourceArn));
    const deadLetters = referred(resource(demo, 'AWS::Lambda::Function', 'Processor').Properties.Environment.Variables.DLQ_URL);
    expect(sources).toHaveLength(2);
    expect(sources).not.toContain(deadLetters);
    const redrive = resource(demo, 'AWS::SQS::Queue', 'Redrive').Properties;
    expect(referred(redrive.RedrivePolicy.deadLetterTargetArn)).toBe(deadLetters);
    expect(redrive.VisibilityTimeout).toBeGreaterThanOrEqual(Duration.minutes(6).toSeconds());
  });
});

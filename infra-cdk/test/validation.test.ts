import { App, CfnParameter, Duration, Stack } from 'aws-cdk-lib';
import { AttributeType, Table } from 'aws-cdk-lib/aws-dynamodb';
import { Vpc } from 'aws-cdk-lib/aws-ec2';
import { ApplicationLogLevel, Architecture, CapacityProvider, Function } from 'aws-cdk-lib/aws-lambda';
import { Queue } from 'aws-cdk-lib/aws-sqs';
import { describe, expect, it } from 'vitest';
import { OnDemandApi, ProcessorAliasOptions, ProcessorCode, StreamProcessor, StreamProcessorProps } from '../lib';
import { readConfig } from '../lib/app-config';
import { InvalidPropertyError } from '../lib/checks';
import { BOOTSTRAP, newApp, newDemo, newProcessor, newTable } from './support';

type Props = Partial<StreamProcessorProps>;

function own(environment: Record<string, string>): Props {
  return { functionOptions: { environment } };
}

function alias(options: ProcessorAliasOptions, reservedConcurrentExecutions?: number): Props {
  return { functionOptions: { alias: options, reservedConcurrentExecutions } };
}

describe('a property that cannot work is refused at synth, with what to write', () => {
  it.each<[string, Props, RegExp]>([
    ['no record', { mapping: { batchSize: 0 } }, /batchSize is 0; write a whole number of 1 to 10000/],
    ['too many records', { mapping: { batchSize: 10_001 } }, /batchSize is 10001/],
    ['half a record', { mapping: { batchSize: 1.5 } }, /batchSize is 1.5/],
    ['no parallel batch', { mapping: { parallelizationFactor: 0 } }, /parallelizationFactor is 0; write a whole number of 1 to 10/],
    ['too many parallel batches', { mapping: { parallelizationFactor: 11 } }, /parallelizationFactor is 11/],
    ['a window of hours', { mapping: { batchingWindow: Duration.hours(1) } }, /batchingWindow is 1 hour; write .* to 5 minutes/],
    ['a window over parallel batches', { mapping: { tumblingWindow: Duration.seconds(30), parallelizationFactor: 2 } }, /parallelizationFactor is 2, but a tumblingWindow takes one batch/],
    ['a window of an hour', { mapping: { tumblingWindow: Duration.hours(1) } }, /tumblingWindow is 1 hour; write .* to 15 minutes/],
    ['retries below none', { mapping: { retryAttempts: -2 } }, /retryAttempts is -2; write a whole number of 0 to 10000/],
    ['a record age of seconds', { mapping: { maxRecordAge: Duration.seconds(59) } }, /maxRecordAge is 59 seconds/],
    ['a record age beyond the stream', { mapping: { maxRecordAge: Duration.hours(25) } }, /maxRecordAge is 1 day 1 hour/],
    ['no filter', { mapping: { filters: [] } }, /0 filters; Lambda takes 1 to 5/],
    ['six filters', { mapping: { filters: Array(6).fill({ pattern: '{}' }) } }, /6 filters; Lambda takes 1 to 5/],
    ['no filter file', { mapping: { filterFile: 'nowhere.json' } }, /filterFile is nowhere.json, which does not exist; write what StreamProcessor::filter_criteria returns/],
    ['a file of something else', { mapping: { filterFile: 'package.json' } }, /filterFile is package.json, which is not {"Filters"/],
    ['a file in other spelling', { mapping: { filterFile: 'test/fixtures/filters/not-criteria.json' } }, /not-criteria.json, which is not {"Filters"/],
    ['filters twice', { mapping: { filters: [{ pattern: '{}' }], filterFile: 'test/fixtures/filters/orders.json' } }, /filters and filterFile are both set; leave out one/],
    ['a record age not above give-up', { mapping: { maxRecordAge: Duration.hours(6) } }, /maxRecordAge \(6 hours\) is not above giveUpAfter \(6 hours\)/],
    ['give-up above the record age', { settings: { giveUpAfter: Duration.hours(13) } }, /raise the one or lower the other/],
    ['no handler at once', { settings: { concurrency: 0 } }, /concurrency is 0; write a whole number of 1 to 10000/],
    ['no attempt', { settings: { maxAttempts: 0 } }, /maxAttempts is 0; write a whole number of 1 to 100/],
    ['waits upside down', { settings: { retryBase: Duration.seconds(3) } }, /retryBase \(3 seconds\) is longer than retryMax \(2 seconds\)/],
    ['a first wait that the function refuses', { settings: { retryBase: Duration.seconds(61), retryMax: Duration.minutes(2) } }, /retryBase is 1 minute 1 second; write .* to 1 minute/],
    ['a wait that the function refuses', { settings: { retryMax: Duration.minutes(11) } }, /retryMax is 11 minutes; write .* to 10 minutes/],
    ['no time for a handler', { settings: { handlerTimeout: Duration.millis(0) } }, /handlerTimeout is 0 .*; write a duration of 1 /],
    ['a handler for as long as the invocation', { settings: { handlerTimeout: Duration.seconds(54) } }, /handlerTimeout \(54 seconds\) is not below the 54 seconds after which an invocation of a function with a timeout of 1 minute stops/],
    ['too little memory', { functionOptions: { memorySize: 64 } }, /memorySize is 64/],
    ['memory of Managed Instances without them', { functionOptions: { memorySize: 20_480 } }, /memorySize is 20480; write .* to 10240/],
    ['a namespace of AWS', { metricsNamespace: 'AWS/Mine' }, /metricsNamespace is "AWS\/Mine"; write .* do not begin with AWS\//],
    ['a namespace that CloudWatch refuses', { metricsNamespace: 'Orders & Returns' }, /metricsNamespace is "Orders & Returns"; write 1 to 255 characters .*: letters, digits, spaces/],
    ['a namespace of spaces', { metricsNamespace: '  ' }, /metricsNamespace is "  "; write 1 to 255 characters .*: letters, digits, spaces/],
    ['a service that CloudWatch refuses', { serviceName: 'Käufe' }, /serviceName is "Käufe"; write ASCII characters/],
    ['a service of spaces', { serviceName: '  ' }, /serviceName is "  "; write ASCII characters/],
    ['a variable that the construct writes', own({ DLQ_URL: 'https://mine' }), /environment has DLQ_URL, but .* write deadLetterQueue, .* or settings/],
    ['a variable that the function does not know', own({ LAMBDA_STREAMS_CONCURENCY: '1' }), /environment has LAMBDA_STREAMS_CONCURENCY, but/],
    ['a service without a name', { serviceName: '' }, /serviceName has 0 characters; write 1 to 255/],
    ['a consumer without a name', { idempotency: { consumer: '' } }, /the consumer of idempotency, by default the serviceName, has 0 characters; write 1 to 255/],
    ['a consumer with too long a name', { idempotency: { consumer: 'x'.repeat(256) } }, /has 256 characters; write 1 to 255/],
    ['a consumer of two lines', { idempotency: { consumer: 'a\nb' } }, /is "a\\nb"; write printable ASCII characters/],
    ['a consumer that IAM refuses', { idempotency: { consumer: '注文' } }, /is "注文"; write printable ASCII characters/],
    ['a consumer of spaces', { idempotency: { consumer: '  ' } }, /is "  "; write printable ASCII characters, and not only spaces/],
    ...['all*', 'or?ders', '${aws:username}', 'orders#totals'].map((consumer): [string, Props, RegExp] => [
      `the consumer ${consumer}`,
      { idempotency: { consumer } },
      /with which IAM could not tell its rows from those of others; write a consumer without #, \*, \? and \$/,
    ]),
    ['a service that cannot be a consumer', { serviceName: 'orders*', idempotency: true }, /by default the serviceName, is "orders\*", with which IAM/],
    ['a stop before the start', { settings: { deadlineMargin: Duration.seconds(60) } }, /deadlineMargin \(1 minute\) is not below the function's timeout/],
    ['a stop before a handler has to', { settings: { deadlineMargin: Duration.seconds(50) } }, /handlerTimeout \(15 seconds\) is not below the 10 seconds after which/],
    ['an hour for an invocation', { functionOptions: { timeout: Duration.hours(1) } }, /timeout is 1 hour; write .* to 15 minutes/],
    ['an alarm above the timeout', { alarms: { durationNearTimeout: { threshold: 60_001 } } }, /durationNearTimeout alarm \(60001 ms\) is above the function's timeout \(1 minute\)/],
    ['an alarm after the fact', { alarms: { iteratorAge: { threshold: Duration.hours(7).toMilliseconds() } } }, /would go off after the function has given up \(6 hours\); write a lower threshold/],
    ['an alarm that is always on', { alarms: { functionErrors: { threshold: 0 } } }, /threshold of the alarm FunctionErrors is 0; write a number above 0, or enabled: false/],
    ['an alarm of no period', { alarms: { mappingStopped: { evaluationPeriods: 0 } } }, /evaluationPeriods of the alarm MappingStopped is 0; write a whole number of 1 to 288/],
    ['an alarm over more than a day', { alarms: { functionErrors: { evaluationPeriods: 1_441 } } }, /FunctionErrors is 1441; write a whole number of 1 to 1440/],
    ['an alias that is a number', alias({ aliasName: '7' }), /aliasName is "7"; write 1 to 128 letters/],
    ['an alias of two words', alias({ aliasName: 'to go' }), /aliasName is "to go"; write 1 to 128 letters/],
    ['more provisioned than reserved', alias({ provisionedConcurrentExecutions: 5 }, 4), /provisionedConcurrentExecutions is 5, .* reservedConcurrentExecutions is 4; reserve more/],
    ['a filter of Lambda that takes the metrics', { functionOptions: { applicationLogLevelV2: ApplicationLogLevel.WARN } }, /applicationLogLevelV2 is WARN, .* write settings: \{ logLevel \}/],
    ['half a second of a timeout', { functionOptions: { timeout: Duration.millis(1_500) } }, /timeout is 1 second 500 millis; write a whole number of seconds/],
    ['half a second of an age', { settings: { giveUpAfter: Duration.millis(1_500) } }, /giveUpAfter is .*; write a whole number of seconds/],
    ['half a millisecond', { settings: { retryBase: Duration.millis(2.5) } }, /retryBase is .*; write a whole number of milliseconds/],
    ['half a second of a window', { mapping: { batchingWindow: Duration.millis(500) } }, /batchingWindow is .*; write a whole number of seconds/],
    ['half a second of a record age', { mapping: { maxRecordAge: Duration.millis(43_200_500) } }, /maxRecordAge is .*; write a whole number of seconds/],
    ['no code', { code: undefined, handler: undefined }, /give either code.* or handler/],
  ])('%s', (_, props, message) => {
    expect(() => newProcessor(props)).toThrow(message);
    expect(() => newProcessor(props)).toThrow(InvalidPropertyError);
    expect(() => newProcessor(props)).toThrow(/^user\/Processor/);
  });

  it.each<[string, (seconds: Duration) => Props]>([
    ['timeout', (timeout) => ({ functionOptions: { timeout } })],
    ['giveUpAfter', (giveUpAfter) => ({ settings: { giveUpAfter } })],
    ['handlerTimeout', (handlerTimeout) => ({ settings: { handlerTimeout } })],
    ['deadlineMargin', (deadlineMargin) => ({ settings: { deadlineMargin } })],
    ['maxRecordAge', (maxRecordAge) => ({ mapping: { maxRecordAge } })],
  ])('a CloudFormation parameter as %s, from which other values follow', (name, props) => {
    const parameter = Duration.seconds(new CfnParameter(new Stack(), 'Seconds', { type: 'Number' }).valueAsNumber);
    expect(() => newProcessor(props(parameter))).toThrow(new RegExp(`^user/Processor.*${name} is known at the deployment only`));
  });

  it('a table without a stream', () => {
    const stack = new Stack(newApp(), 'user');
    const table = new Table(stack, 'Table', { partitionKey: { name: 'pk', type: AttributeType.STRING } });
    const code = ProcessorCode.fromAsset(BOOTSTRAP);
    expect(() => new StreamProcessor(stack, 'Processor', { table, code })).toThrow(/the table has no stream; give it stream:/);
  });

  it('both code and a function', () => {
    const { function: handler } = newProcessor();
    expect(() => newProcessor({ handler, code: ProcessorCode.fromAsset(BOOTSTRAP) })).toThrow(/give either code/);
  });

  it('options for a function that exists', () => {
    const { function: handler } = newProcessor();
    expect(() => newProcessor({ handler, functionOptions: { memorySize: 512 } })).toThrow(/functionOptions has no effect/);
  });

  it('a function whose role is unknown', () => {
    const stack = new Stack(newApp(), 'other');
    const handler = Function.fromFunctionName(stack, 'Known', 'by-name-only');
    const table = newTable(stack);
    expect(() => new StreamProcessor(stack, 'Processor', { table, handler })).toThrow(/the role of handler is unknown/);
  });

  it('a redrive from a FIFO queue', () => {
    const stack = new Stack(newApp(), 'user');
    const deadLetterQueue = new Queue(stack, 'Failed', { fifo: true });
    const code = ProcessorCode.fromAsset(BOOTSTRAP);
    const props = { table: newTable(stack), code, deadLetterQueue, redrive: true };
    expect(() => new StreamProcessor(stack, 'Processor', props)).toThrow(/redrive is made for standard queues/);
  });

  it('a VPC on Managed Instances', () => {
    const stack = new Stack(newApp(), 'user');
    const vpc = new Vpc(stack, 'Vpc');
    const capacityProvider = CapacityProvider.fromCapacityProviderName(stack, 'Instances', 'instances');
    const code = ProcessorCode.fromAsset(BOOTSTRAP);
    const props = { table: newTable(stack), code, functionOptions: { vpc, managedInstances: { capacityProvider } } };
    expect(() => new StreamProcessor(stack, 'Processor', props)).toThrow(/vpc and managedInstances are both set/);
  });

  it('an asset without a bootstrap', () => {
    expect(() => newProcessor({ code: ProcessorCode.fromAsset(__dirname) })).toThrow(/no .*bootstrap; build the function first/);
  });

  it('a Cargo package that is not there', () => {
    const code = ProcessorCode.fromCargo({ manifestPath: `${__dirname}/nowhere` });
    expect(() => newProcessor({ code })).toThrow(/no .*nowhere.Cargo.toml; manifestPath names/);
  });

  it('an architecture for the build alone', () => {
    const code = ProcessorCode.fromCargo({ manifestPath: __dirname, bundling: { architecture: Architecture.X86_64 } });
    expect(() => newProcessor({ code })).toThrow(/^user\/Processor.*bundling names an architecture; .*functionOptions.architecture/);
  });

  it('a burst that the function cannot take', () => {
    const demo = newDemo();
    const props = {
      handler: demo.api.node.scope!.node.findChild('OnDemandFunction').node.findChild('Function') as Function,
      allowedCidrs: ['203.0.113.7/32'],
      encryptionKey: demo.processor.encryptionKey,
      throttle: { rateLimit: 100, burstLimit: 250 },
    };
    expect(() => new OnDemandApi(demo, 'Second', props)).toThrow(/250 requests through at once, but the handler has 250/);
  });
});

describe('the configuration of the app', () => {
  const read = (context: Record<string, unknown>, env: NodeJS.ProcessEnv = {}) => readConfig(new App({ context }), env);
  const ranges = { allowedCidrs: '203.0.113.7/32' };

  it('says how to set the allow-list where there is none', () => {
    for (const context of [{}, { allowedCidrs: '' }, { allowedCidrs: ' , ' }]) {
      expect(() => read(context)).toThrow(/-c allowedCidrs=.* or as the environment variable ALLOWED_CIDRS/);
    }
  });

  it('takes ranges apart at commas, from context before environment', () => {
    expect(read({ allowedCidrs: '203.0.113.7/32, 198.51.100.0/24' }).allowedCidrs).toEqual(['203.0.113.7/32', '198.51.100.0/24']);
    expect(read({}, { ALLOWED_CIDRS: '192.0.2.0/24' }).allowedCidrs).toEqual(['192.0.2.0/24']);
    expect(read(ranges, { ALLOWED_CIDRS: '192.0.2.0/24' }).allowedCidrs).toEqual(['203.0.113.7/32']);
  });

  it('is development on arm64 unless something else is said', () => {
    const config = read(ranges);
    expect(config).toMatchObject({ stage: 'dev', production: false, apiCache: true, idempotency: true, apiAccount: undefined, cliCredentials: false });
    expect(config.architecture.name).toBe('arm64');
    expect(read({ ...ranges, production: 'true', stage: 'prod' })).toMatchObject({ stage: 'prod', production: true });
  });

  it.each([
    [{ production: 'yes' }, /production is "yes"; write one of true, false/],
    [{ stage: 'Prod Stage' }, /stage is "Prod Stage"; write a lower-case name/],
    [{ stage: 'prod' }, /stage is prod; say whether its data is kept, with -c production=true or -c production=false/],
    [{ architecture: 'mips' }, /architecture is "mips"; write one of arm64, x86_64/],
    [{ idempotency: 'marks' }, /idempotency is "marks"; write one of true, false/],
    [{ startingPosition: 'NOW' }, /startingPosition is "NOW"; write one of LATEST, TRIM_HORIZON/],
    [{ alarmEmail: 'nobody' }, /alarmEmail is "nobody"; write an address/],
  ])('refuses %j', (context, message) => {
    expect(() => read({ ...ranges, ...context })).toThrow(message);
  });
});

import * as fs from 'node:fs';
import * as path from 'node:path';
import { Duration, Stack } from 'aws-cdk-lib';
import { Architecture, LayerVersion } from 'aws-cdk-lib/aws-lambda';
import { describe, expect, it } from 'vitest';
import { LogLevel, ProcessorCode, ProcessorSettings, StreamProcessor } from '../../lib';
import { BOOTSTRAP, newProcessor, newTable, ownFunction, processorTemplate, resource, templateOf, userStack } from '../support';

interface Row {
  readonly name: string;
  readonly values: string;
  readonly default: string;
}

/** The first table of the crate's page, which both sides keep to; the second has what Lambda sets. */
const CONTRACT: Row[] = fs
  .readFileSync(path.join(__dirname, '..', '..', '..', 'src', 'docs', 'environment.md'), 'utf8')
  .split('# What Lambda sets')[0]!
  .split('\n')
  .filter((line) => line.startsWith('| `'))
  .map((line) => line.split('|').map((cell) => cell.trim()))
  .map((cells) => ({ name: cells[1]!.replaceAll('`', ''), values: cells[3]!, default: cells[4]! }));

/** A variable that holds a number: how a user sets it, with what else must be set for the limits to be possible. */
interface NumberSetting {
  readonly set: (value: number) => ProcessorSettings;
  /** The construct's default for a function of 60 seconds, where it is not the crate's. */
  readonly ownDefault?: string;
}

const NUMBERS: Record<string, NumberSetting> = {
  LAMBDA_STREAMS_CONCURRENCY: { set: (concurrency) => ({ concurrency }) },
  LAMBDA_STREAMS_MAX_ATTEMPTS: { set: (maxAttempts) => ({ maxAttempts }) },
  LAMBDA_STREAMS_RETRY_BASE_MS: { set: (ms) => ({ retryBase: millis(ms), retryMax: Duration.minutes(10) }) },
  LAMBDA_STREAMS_RETRY_MAX_MS: { set: (ms) => ({ retryBase: Duration.millis(0), retryMax: millis(ms) }) },
  LAMBDA_STREAMS_HANDLER_TIMEOUT_MS: {
    set: (ms) => ({ handlerTimeout: millis(ms), deadlineMargin: Duration.millis(0) }),
    // The construct knows the timeout of the function and takes a quarter of it, so a handler that hangs ends.
    ownDefault: '15000',
  },
  LAMBDA_STREAMS_DEADLINE_MARGIN_MS: { set: (ms) => ({ deadlineMargin: millis(ms), handlerTimeout: Duration.millis(1) }) },
  LAMBDA_STREAMS_GIVE_UP_AFTER_SECONDS: { set: (seconds) => ({ giveUpAfter: Duration.seconds(seconds) }) },
};

// No duration of the CDK is below zero.
function millis(ms: number): Duration {
  return Duration.millis(Math.max(ms, 0));
}

function environmentOf(settings: ProcessorSettings): Record<string, any> {
  return resource(processorTemplate({ settings }), 'AWS::Lambda::Function').Properties.Environment.Variables;
}

// The limits of the variables are beyond what a mapping and a function of 15 minutes allow: the check of the range comes first.
function refusal(settings: ProcessorSettings): string {
  try {
    newProcessor({ settings });
    return '';
  } catch (error) {
    return (error as Error).message;
  }
}

describe('the environment that src/docs/environment.md describes', () => {
  it('is what the construct writes, no variable more and none less', () => {
    const template = processorTemplate({ settings: { deadlineMargin: Duration.seconds(5) }, idempotency: true });
    const written = Object.keys(resource(template, 'AWS::Lambda::Function').Properties.Environment.Variables);
    expect(CONTRACT.length).toBeGreaterThan(10);
    expect(written.filter((name) => name !== 'GLIBC_TUNABLES').sort()).toEqual(CONTRACT.map(({ name }) => name).sort());
  });

  it('has a number for every variable that is one', () => {
    const ranges = CONTRACT.filter(({ values }) => /^[\d,]+ to [\d,]+$/.test(values)).map(({ name }) => name);
    expect(ranges.sort()).toEqual(Object.keys(NUMBERS).sort());
  });

  describe.each(Object.entries(NUMBERS))('%s', (name, { set, ownDefault }) => {
    const row = CONTRACT.find((one) => one.name === name)!;
    const [min, max] = row.values.replaceAll(',', '').split(' to ').map(Number) as [number, number];

    it('has the range of the page', () => {
      const outOfRange = /write a (whole number|duration) of/;
      expect(refusal(set(min))).not.toMatch(outOfRange);
      expect(refusal(set(max))).not.toMatch(outOfRange);
      expect(refusal(set(max + 1))).toMatch(outOfRange);
      if (min > 0) {
        expect(refusal(set(min - 1))).toMatch(outOfRange);
      }
    });

    it(ownDefault ? 'has a default of its own' : 'has the default of the page', () => {
      const ofPage = /^[\d,]+$/.test(row.default) ? row.default.replaceAll(',', '') : undefined;
      expect(environmentOf({})[name]).toBe(ownDefault ?? ofPage);
    });
  });

  it('has the log levels of the page, and info as Lambda has', () => {
    const { values } = CONTRACT.find(({ name }) => name === 'LAMBDA_STREAMS_LOG_LEVEL')!;
    expect([...values.matchAll(/`(\w+)`/g)].map(([, level]) => level)).toEqual(Object.values(LogLevel));
    expect(environmentOf({}).LAMBDA_STREAMS_LOG_LEVEL).toBe('info');
  });

  it('has the default namespace of the page, and lets the mapping report failures as the page says', () => {
    const inCode = (wanted: string) => CONTRACT.find(({ name }) => name === wanted)!.default.replaceAll('`', '');
    expect(environmentOf({})).toMatchObject({
      POWERTOOLS_METRICS_NAMESPACE: inCode('POWERTOOLS_METRICS_NAMESPACE'),
      LAMBDA_STREAMS_REPORT_BATCH_ITEM_FAILURES: inCode('LAMBDA_STREAMS_REPORT_BATCH_ITEM_FAILURES'),
    });
  });

  it('has names of metrics as long as the page says', () => {
    const lengths = (wanted: string) => CONTRACT.find(({ name }) => name === wanted)!.values;
    expect(lengths('POWERTOOLS_METRICS_NAMESPACE')).toBe('1 to 255 characters');
    expect(() => newProcessor({ metricsNamespace: 'x'.repeat(255) })).not.toThrow();
    expect(() => newProcessor({ metricsNamespace: 'x'.repeat(256) })).toThrow(/write 1 to 255 characters/);
    expect(lengths('POWERTOOLS_SERVICE_NAME')).toBe('1 to 1,024 characters');
    // CloudWatch takes 1,024 characters in a dimension, but the CDK 255.
    expect(() => newProcessor({ serviceName: 'x'.repeat(255) })).not.toThrow();
    expect(() => newProcessor({ serviceName: 'x'.repeat(256) })).toThrow(/serviceName has 256 characters; write 1 to 255/);
  });
});

describe('the environment of a second function', () => {
  it('follows the timeout of that function', () => {
    const processor = newProcessor({ functionOptions: { timeout: Duration.minutes(5) } });
    expect(processor.environmentFor('other').LAMBDA_STREAMS_HANDLER_TIMEOUT_MS).toBe('75000');
    expect(processor.environmentFor('other', Duration.seconds(28)).LAMBDA_STREAMS_HANDLER_TIMEOUT_MS).toBe('7000');
  });

  it('is refused where a handler would outlive that function', () => {
    const processor = newProcessor({ settings: { handlerTimeout: Duration.seconds(30) } });
    expect(() => processor.environmentFor('other', Duration.seconds(28))).toThrow(
      /handlerTimeout \(30 seconds\) is not below the 25 seconds 200 millis after which an invocation of a function with a timeout of 28 seconds/,
    );
  });

  it('is given to the on-demand function, which has 28 seconds and counts by another name', () => {
    const processor = newProcessor({ functionOptions: { timeout: Duration.minutes(5) }, serviceName: 'orders' });
    processor.createOnDemandFunction(Stack.of(processor), 'OnDemand', { memorySize: 256 });
    const { Timeout, MemorySize, Environment } = resource(templateOf(processor), 'AWS::Lambda::Function', 'OnDemand').Properties;
    expect([Timeout, MemorySize]).toEqual([28, 256]);
    expect(Environment.Variables).toMatchObject({ POWERTOOLS_SERVICE_NAME: 'orders-on-demand', LAMBDA_STREAMS_HANDLER_TIMEOUT_MS: '7000' });
  });

  it('comes with what the code needs to run', () => {
    const architecture = Architecture.X86_64;
    const stack = userStack();
    const layers = [LayerVersion.fromLayerVersionArn(stack, 'Layer', 'arn:aws:lambda:eu-central-1:111122223333:layer:collector:1')];
    const functionOptions = { architecture, layers, environment: { TABLE: 'orders', MODE: 'stream' }, memorySize: 512 };
    const processor = new StreamProcessor(stack, 'Processor', { table: newTable(stack), code: ProcessorCode.fromAsset(BOOTSTRAP), functionOptions });
    processor.createOnDemandFunction(stack, 'OnDemand', { environment: { MODE: 'on demand' } });
    const { Properties } = resource(templateOf(processor), 'AWS::Lambda::Function', 'OnDemand');
    expect(Properties).toMatchObject({ Architectures: ['x86_64'], Layers: [expect.any(String)], MemorySize: 1_024 });
    expect(Properties.Environment.Variables).toMatchObject({ TABLE: 'orders', MODE: 'on demand' });
  });

  it('is not replaced by a variable of an on-demand function', () => {
    const environment = { LAMBDA_STREAMS_CONCURRENCY: '1' };
    expect(() => newProcessor().createOnDemandFunction(userStack(), 'OnDemand', { environment })).toThrow(/environment has LAMBDA_STREAMS_CONCURRENCY/);
  });

  it('cannot be that of an on-demand function where there is no code', () => {
    const stack = userStack();
    const processor = new StreamProcessor(stack, 'Processor', { table: newTable(stack), handler: ownFunction(stack) });
    expect(() => processor.createOnDemandFunction(stack, 'OnDemand')).toThrow(/an on-demand function is created from code; write ProcessorFunction/);
  });
});

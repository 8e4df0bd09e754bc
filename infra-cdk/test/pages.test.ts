import * as fs from 'node:fs';
import * as path from 'node:path';
import { Template } from 'aws-cdk-lib/assertions';
import { Vpc } from 'aws-cdk-lib/aws-ec2';
import * as ts from 'typescript';
import { expect, it } from 'vitest';
import * as library from '../lib';
import { ProcessorCode } from '../lib';
import { BOOTSTRAP, newTable, processorTemplate, streamMapping, userStack } from './support';

const root = path.join(__dirname, '..');
const GUIDE = '../src/docs/deploying.md';

// What the shorter programs of a page take from its text, or from the imports of its first program.
const PRELUDE = `
import { App, Duration, Stack } from 'aws-cdk-lib';
import { SnsAction } from 'aws-cdk-lib/aws-cloudwatch-actions';
import { AttributeType, BillingMode, ITable, StreamViewType, Table } from 'aws-cdk-lib/aws-dynamodb';
import { IVpc } from 'aws-cdk-lib/aws-ec2';
import { EmailSubscription } from 'aws-cdk-lib/aws-sns-subscriptions';
import { Queue } from 'aws-cdk-lib/aws-sqs';
import { AlarmTopic, EncryptionKey, LogLevel, ProcessorCode, StreamProcessor } from 'lambda-streams-cdk';
declare const stack: Stack, table: ITable, code: ProcessorCode, vpc: IVpc;
`;

interface Program {
  /** The page, and the line that the program begins in. */
  readonly place: string;
  readonly text: string;
  /** Whether it has all of its imports. */
  readonly complete: boolean;
}

function programs(page: string): Program[] {
  const source = fs.readFileSync(path.join(root, page), 'utf8');
  const found = [...source.matchAll(/^```ts\n(.*?)^```$/gms)].map((match) => ({
    place: `${path.basename(page)}:${source.slice(0, match.index).split('\n').length + 1}`,
    text: match[1]!,
    complete: /^import .* from 'aws-cdk-lib';$/m.test(match[1]!),
  }));
  expect(found.length).toBeGreaterThan(0);
  return found;
}

/** The statements of a constructor, which say `this`, are put into a class. */
function completed({ text, complete }: Program): string {
  const statements = text.replace(/^import .*$/gm, '');
  return complete ? text : `${PRELUDE}\nexport class Program extends Stack {\n  write(): void {\n${statements}\n  }\n}\n`;
}

/** What the compiler says of the programs, all at once. */
function mistakes(all: Program[]): string[] {
  const file = ({ place }: Program) => path.join(root, 'test', `${place.replace(':', '-')}.ts`);
  const files = new Map(all.map((program) => [file(program), completed(program)]));
  const options: ts.CompilerOptions = {
    target: ts.ScriptTarget.ES2022,
    module: ts.ModuleKind.CommonJS,
    moduleResolution: ts.ModuleResolutionKind.Node10,
    types: ['node'],
    strict: true,
    noEmit: true,
    skipLibCheck: true,
    baseUrl: root,
    paths: { 'lambda-streams-cdk': ['lib/index.ts'] },
  };
  const host = ts.createCompilerHost(options);
  const { fileExists, getSourceFile } = host;
  host.fileExists = (name) => files.has(name) || fileExists(name);
  host.getSourceFile = (name, version, ...rest) => {
    const text = files.get(name);
    return text === undefined ? getSourceFile(name, version, ...rest) : ts.createSourceFile(name, text, version, true);
  };
  return ts
    .getPreEmitDiagnostics(ts.createProgram([...files.keys()], options, host))
    .map(({ file: where, messageText }) => `${path.basename(where?.fileName ?? '')}: ${ts.flattenDiagnosticMessageText(messageText, '\n')}`);
}

it('the programs of the README and of the guide compile', () => {
  expect(mistakes([...programs('README.md'), ...programs(GUIDE)])).toEqual([]);
});

it.each(programs(GUIDE).filter(({ complete }) => !complete))('$place synthesizes', (program) => {
  const stack = userStack();
  const names = { stack, table: newTable(stack), code: ProcessorCode.fromAsset(BOOTSTRAP), vpc: new Vpc(stack, 'Vpc') };
  const typescript = completed(program).replace("'../filter-criteria.json'", `'${path.join(__dirname, 'fixtures/filters/orders.json')}'`);
  const { outputText } = ts.transpileModule(typescript, { compilerOptions: { module: ts.ModuleKind.CommonJS, target: ts.ScriptTarget.ES2022 } });
  const load = (name: string): unknown => (name === 'lambda-streams-cdk' ? library : require(name));
  const exported: { Program?: { prototype: { write(): void } } } = {};
  new Function('require', 'exports', ...Object.keys(names), outputText)(load, exported, ...Object.values(names));
  exported.Program!.prototype.write();
  Template.fromStack(stack).resourceCountIs('AWS::Lambda::EventSourceMapping', program.text.includes('redrive: true') ? 2 : 1);
});

it('the mapping without the CDK, by SAM and by the AWS CLI, is that of the construct', () => {
  const source = fs.readFileSync(path.join(root, GUIDE), 'utf8');
  const { Properties } = streamMapping(processorTemplate());
  const settings = {
    BatchSize: ['batch-size', Properties.BatchSize],
    MaximumBatchingWindowInSeconds: ['maximum-batching-window-in-seconds', Properties.MaximumBatchingWindowInSeconds],
    ParallelizationFactor: ['parallelization-factor', Properties.ParallelizationFactor],
    MaximumRecordAgeInSeconds: ['maximum-record-age-in-seconds', Properties.MaximumRecordAgeInSeconds],
    // What is left out of the template is without a limit.
    MaximumRetryAttempts: ['maximum-retry-attempts', Properties.MaximumRetryAttempts ?? -1],
  };
  for (const [property, [flag, value]] of Object.entries(settings)) {
    expect(source).toContain(`            ${property}: ${value}\n`);
    expect(source).toContain(`  --${flag} ${value} \\\n`);
  }
  expect(Properties).toMatchObject({ BisectBatchOnFunctionError: true, FunctionResponseTypes: ['ReportBatchItemFailures'] });
  expect(source).toContain('            BisectBatchOnFunctionError: true\n');
  expect(source).toContain('  --bisect-batch-on-function-error \\\n');
  expect(source).toContain('            FunctionResponseTypes: [ReportBatchItemFailures]\n');
  expect(source).toContain('  --function-response-types ReportBatchItemFailures \\\n');
});

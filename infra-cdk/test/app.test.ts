import { execFileSync, spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { App } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ExistingTableStack } from '../examples/existing-table-stack';
import { ProcessorCode } from '../lib';
import { statementsOf } from '../scripts/iam-statements';
import { environment, synthWithCli } from './cli';
import { BOOTSTRAP, newApp, newDemo, referred, resources, streamMapping } from './support';

const root = path.join(__dirname, '..');
let scratch: string;

beforeAll(() => {
  scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'infra-cdk-'));
});

afterAll(() => {
  fs.rmSync(scratch, { recursive: true, force: true });
});

function synth(out: string, ...options: string[]): Record<string, string> {
  return synthWithCli(root, path.join(scratch, out), options);
}

describe('the app, as the CLI runs it', () => {
  it('is the same twice, so the diff of an unchanged app is empty', () => {
    const options = ['-c', 'allowedCidrs=203.0.113.7/32', '-c', 'apiAccount=true'];
    const first = synth('first', ...options);
    expect(Object.keys(first).sort()).toEqual(['lambda-streams-api-account', 'lambda-streams-dev']);
    expect(synth('second', ...options)).toEqual(first);
  });

  it('fails without an allow-list, and says how to set one', () => {
    const options = ['tsx', path.join('bin', 'app.ts')];
    const { status, stderr } = spawnSync('npx', options, { cwd: root, env: environment({ CDK_OUTDIR: scratch }), encoding: 'utf8' });
    expect(status).not.toBe(0);
    expect(stderr).toContain('-c allowedCidrs=203.0.113.7/32,198.51.100.0/24 or as the environment variable ALLOWED_CIDRS');
  });

  it('leaves the log role of the account alone where nothing is said, and says how to look', () => {
    const folder = path.join(scratch, 'unsaid');
    const env = environment({ CDK_OUTDIR: folder, ALLOWED_CIDRS: '203.0.113.7/32', FUNCTION_ASSET: BOOTSTRAP });
    execFileSync('npx', ['tsx', path.join('bin', 'app.ts')], { cwd: root, env, stdio: 'pipe' });
    expect(fs.readdirSync(folder).filter((name) => name.endsWith('.template.json'))).toEqual(['lambda-streams-dev.template.json']);
    const messages = fs.readFileSync(path.join(folder, 'lambda-streams-dev.metadata.json'), 'utf8');
    expect(messages).toMatch(/look with `aws apigateway get-account --query cloudwatchRoleArn`: if it is null, add -c apiAccount=true/i);
  });

  it('names its stack after the stage, and says nothing of the account where that is settled', () => {
    const stacks = synth('prod', '-c', 'allowedCidrs=203.0.113.7/32', '-c', 'stage=prod', '-c', 'production=true', '-c', 'apiAccount=false');
    expect(Object.keys(stacks)).toEqual(['lambda-streams-prod']);
    expect(JSON.parse(stacks['lambda-streams-prod']!).Resources).toBeDefined();
  });
});

describe('npm run synth:try', () => {
    // On a build server the CLI writes its messages to the standard output, unless it is told otherwise.
  const env = { ...process.env, CI: 'true' };
  const run = (...options: string[]) => spawnSync('node', [path.join('scripts', 'synth-try.mjs'), ...options], { cwd: root, env, encoding: 'utf8' });

  it('writes the templates without an account and without Rust; values of the command line hold', () => {
    const { status, stdout } = run('-c', 'stage=prod', '-c', 'production=true');
    expect(status).toBe(0);
    expect(stdout).toMatch(/^\S*lambda-streams-api-account.template.json: \d+ resources\n\S*lambda-streams-prod.template.json: \d\d resources\n$/);
  });
});

describe('a stack of a user next to the demo, in one synth', () => {
  const tableArn = 'arn:aws:dynamodb:eu-central-1:111122223333:table/orders';
  const tableStreamArn = `${tableArn}/stream/2026-01-01T00:00:00.000`;
  let demo: Template;
  let archive: Template;

  beforeAll(() => {
    const app: App = newApp();
    const stacks = [
      newDemo({}, 'demo', app),
      new ExistingTableStack(app, 'archive', { tableArn, tableStreamArn, code: ProcessorCode.fromAsset(BOOTSTRAP) }),
    ];
    app.synth();
    [demo, archive] = stacks.map((stack) => Template.fromStack(stack)) as [Template, Template];
  });

  it('leaves the demo as it is alone', () => {
    expect(demo.toJSON()).toEqual(Template.fromStack(newDemo()).toJSON());
  });

  it('reads the existing table, and owns none', () => {
    archive.resourceCountIs('AWS::DynamoDB::Table', 0);
    expect(streamMapping(archive).Properties.EventSourceArn).toBe(tableStreamArn);
    expect(statementsOf(archive).find(({ sid }) => sid === 'ReadTheStream')?.resources).toEqual([tableStreamArn]);
  });

  it('sends to its own queues, and makes no bucket', () => {
    archive.resourceCountIs('AWS::S3::Bucket', 0);
    const grants = Object.fromEntries(statementsOf(archive).map(({ sid, resources: on }) => [sid, on]));
    expect(grants.SendDeadLetters).toEqual(['FailedArchiving.Arn']);
    expect(grants.SendDiscardedBatches).toEqual(['DiscardedArchiving.Arn']);
    expect(referred(streamMapping(archive).Properties.DestinationConfig.OnFailure.Destination)).toContain('DiscardedArchiving');
  });

  it('asks for removals alone, in small batches', () => {
    expect(streamMapping(archive).Properties).toMatchObject({
      BatchSize: 20,
      MaximumRecordAgeInSeconds: 7200,
      FilterCriteria: { Filters: [{ Pattern: '{"eventName":["REMOVE"]}' }] },
    });
  });

  it('counts as a service of its own', () => {
    const services = [demo, archive].flatMap((template) =>
      Object.values(resources(template, 'AWS::Lambda::Function')).map((r) => r.Properties.Environment.Variables.POWERTOOLS_SERVICE_NAME),
    );
    expect(new Set(services).size).toBe(3);
  });
});

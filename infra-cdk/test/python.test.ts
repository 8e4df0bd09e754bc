import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { synthWithCli } from './cli';

const root = path.join(__dirname, '..');
const example = path.join(root, 'examples', 'python');
// A Python that has the package: `npm run test:python` makes one.
const python = process.env.INFRA_CDK_PYTHON && path.resolve(root, process.env.INFRA_CDK_PYTHON);
if (!python) {
  console.log('skipped, the Python package: INFRA_CDK_PYTHON names no Python that has it (npm run test:python)');
}

describe.skipIf(!python)('the Python package', () => {
  const stack = 'lambda-streams-dev';
  let scratch: string;
  let fromPython: Record<string, string>;
  let fromTypeScript: Record<string, string>;

  beforeAll(() => {
    scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'infra-cdk-python-'));
    const options = ['-c', 'allowedCidrs=203.0.113.7/32,2001:db8::/56', '-c', 'apiAccount=true', '-c', 'alarmEmail=ops@example.com'];
    fromPython = synthPython('python', ...options);
    fromTypeScript = synthWithCli(root, path.join(scratch, 'typescript'), options);
  });

  afterAll(() => {
    fs.rmSync(scratch, { recursive: true, force: true });
  });

  function synthPython(out: string, ...options: string[]): Record<string, string> {
    return synthWithCli(example, path.join(scratch, out), ['--app', `"${python}" app.py`, ...options]);
  }

  it('makes the stacks of the TypeScript demo, resource for resource', () => {
    expect(Object.keys(fromPython).sort()).toEqual(Object.keys(fromTypeScript).sort());
    for (const name of Object.keys(fromTypeScript)) {
      expect(resourcesOf(fromPython, name)).toEqual(resourcesOf(fromTypeScript, name));
    }
    expect(Object.keys(resourcesOf(fromPython, stack)).length).toBeGreaterThan(50);
  });

  it('has outputs of the demo, with the same values', () => {
    const [ours, theirs] = [fromPython, fromTypeScript].map((templates) => valuesOf(templates[stack]!)) as [object, object];
    expect(Object.keys(ours).length).toBeGreaterThan(5);
    expect(theirs).toMatchObject(ours);
  });

  it('refuses at synth what cannot work, with the message of the construct', () => {
    expect(() => synthPython('refused', '-c', 'allowedCidrs=0.0.0.0/0')).toThrow(/lambda-streams-dev\/Api: the allow-list's "0.0.0.0\/0" is the whole internet/);
  });

  it('says who may call where nobody is named', () => {
    expect(() => synthPython('nobody')).toThrow(/-c allowedCidrs=203.0.113.7\/32,198.51.100.0\/24/);
  });

  it('takes maps, lists, enumerations, durations and unions as Python writes them', () => {
    const output = execFileSync(python!, [path.join(__dirname, 'fixtures', 'python', 'archive.py')], { encoding: 'utf8', stdio: 'pipe' });
    expect(JSON.parse(output)).toEqual({
      mapping: {
        batchSize: 20,
        filters: [{ Pattern: '{"eventName":["REMOVE"]}' }],
        destination: 'AWS::SQS::Queue',
      },
      environment: {
        LAMBDA_STREAMS_LOG_LEVEL: 'debug',
        LAMBDA_STREAMS_GIVE_UP_AFTER_SECONDS: '3600',
        LAMBDA_STREAMS_CONSUMER: 'archive',
        REGION_OF_ARCHIVE: 'eu-central-1',
      },
      architectures: ['x86_64'],
      alarms: 0,
      accepted: ['CKV_AWS_27'],
    });
  });
});

function resourcesOf(templates: Record<string, string>, stack: string): object {
  return JSON.parse(templates[stack]!).Resources as object;
}

/** The values of a template's outputs by name. */
function valuesOf(template: string): Record<string, unknown> {
  const outputs = JSON.parse(template).Outputs as Record<string, { Value: unknown }>;
  return Object.fromEntries(Object.entries(outputs).map(([name, { Value }]) => [name, Value]));
}

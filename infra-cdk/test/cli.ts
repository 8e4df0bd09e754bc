import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { BOOTSTRAP } from './support';

/** The variables of a process that synthesizes: no account is asked for, neither the caller's nor that of the machine. */
export function environment(extra: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv {
  const inherited = Object.entries(process.env).filter(([name]) => !/^(AWS_|CDK_|ALLOWED_CIDRS$)/.test(name));
  return {
    ...Object.fromEntries(inherited),
    CDK_DISABLE_CLI_TELEMETRY: '1',
    AWS_REGION: 'eu-central-1',
    AWS_EC2_METADATA_DISABLED: 'true',
    AWS_CONFIG_FILE: os.devNull,
    AWS_SHARED_CREDENTIALS_FILE: os.devNull,
    ...extra,
  };
}

/** Synthesizes the app of a folder with the CDK's CLI; the templates, as text, by stack. */
export function synthWithCli(app: string, out: string, options: string[]): Record<string, string> {
  const cli = path.join(__dirname, '..', 'node_modules', '.bin', 'cdk');
  const command = ['synth', '--quiet', '--output', out, '-c', `functionAsset=${BOOTSTRAP}`, ...options];
  execFileSync(cli, command, { cwd: app, env: environment(), stdio: 'pipe' });
  const names = fs.readdirSync(out).filter((name) => name.endsWith('.template.json'));
  return Object.fromEntries(names.map((name) => [name.replace('.template.json', ''), fs.readFileSync(path.join(out, name), 'utf8')]));
}

#!/usr/bin/env node
// Synthesizes the demo with example values, without an AWS account and without Rust: npm run synth:try -- -c stage=prod -c production=true
import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.join(path.dirname(fileURLToPath(import.meta.url)), '..');
const out = path.join('cdk.out', 'try');
// What comes later on the command line holds.
const examples = ['allowedCidrs=203.0.113.7/32', 'functionAsset=test/fixtures/bootstrap', 'apiAccount=true'];

/** Nobody's credentials: the CLI would look for an account, and the templates would depend on it. */
function withoutAccount() {
  const kept = Object.entries(process.env).filter(([name]) => !/^(AWS_|CDK_DEFAULT_)/.test(name));
  return {
    ...Object.fromEntries(kept),
    AWS_REGION: 'eu-central-1',
    AWS_EC2_METADATA_DISABLED: 'true',
    AWS_CONFIG_FILE: os.devNull,
    AWS_SHARED_CREDENTIALS_FILE: os.devNull,
    CDK_DISABLE_CLI_TELEMETRY: '1',
  };
}

const cli = path.join(root, 'node_modules', 'aws-cdk', 'bin', 'cdk');
const command = [cli, 'synth', '--quiet', '--ci=false', '--output', out, ...examples.flatMap((it) => ['-c', it]), ...process.argv.slice(2)];
fs.rmSync(path.join(root, out), { recursive: true, force: true });
const { status } = spawnSync(process.execPath, command, { cwd: root, env: withoutAccount(), stdio: 'inherit' });
if (status !== 0) {
  process.exit(status ?? 1);
}
for (const name of fs.readdirSync(path.join(root, out)).filter((it) => it.endsWith('.template.json'))) {
  const { Resources } = JSON.parse(fs.readFileSync(path.join(root, out, name), 'utf8'));
  console.log(`${path.join(out, name)}: ${Object.keys(Resources).length} resources`);
}

import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { App, Stack } from 'aws-cdk-lib';
import { AttributeType, StreamViewType, Table } from 'aws-cdk-lib/aws-dynamodb';
import { Architecture } from 'aws-cdk-lib/aws-lambda';
import { expect, it } from 'vitest';
import { ProcessorCode, StreamProcessor } from '../lib';

const manifestPath = path.join(__dirname, '..', '..', 'examples', 'stream-processor', 'Cargo.toml');
const machine = process.arch === 'arm64' ? Architecture.ARM_64 : Architecture.X86_64;

function whyNot(): string | undefined {
  if (process.env.INFRA_CDK_REAL_BUNDLING !== '1') {
    return 'INFRA_CDK_REAL_BUNDLING is not 1 (npm run test:bundling)';
  }
  if (!fs.existsSync(manifestPath)) {
    return `no ${manifestPath}`;
  }
  return spawnSync('cargo', ['lambda', '--version']).status === 0 ? undefined : 'cargo-lambda is not installed';
}

const reason = whyNot();
if (reason !== undefined) {
  console.log(`skipped, the real build of the function: ${reason}`);
}

it.skipIf(reason !== undefined)(
  'builds the function with cargo-lambda into an asset with an executable bootstrap',
  () => {
    const app = new App();
    const stack = new Stack(app, 'real');
    const table = new Table(stack, 'Table', {
      partitionKey: { name: 'id', type: AttributeType.STRING },
      stream: StreamViewType.NEW_AND_OLD_IMAGES,
    });
    const code = ProcessorCode.fromCargo({ manifestPath, binaryName: 'stream-processor' });
    new StreamProcessor(stack, 'Processor', { table, code, functionOptions: { architecture: machine } });
    const { directory } = app.synth();
    const assets = fs.readdirSync(directory).filter((name) => name.startsWith('asset.'));
    expect(assets).toHaveLength(1);
    const bootstrap = path.join(directory, assets[0]!, 'bootstrap');
    const header = fs.readFileSync(bootstrap).subarray(0, 20);
    expect(header.subarray(0, 4).toString('latin1')).toBe('\x7fELF');
    expect(header.readUInt16LE(18)).toBe(machine === Architecture.ARM_64 ? 0xb7 : 0x3e);
    expect(fs.statSync(bootstrap).mode & 0o111).not.toBe(0);
  },
  1_800_000,
);

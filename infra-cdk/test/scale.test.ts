import * as fs from 'node:fs';
import * as path from 'node:path';
import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { demoTemplate, resources } from './support';

const root = path.join(__dirname, '..');
const script = path.join(root, 'scripts', 'scale.mjs');
const readme = () => fs.readFileSync(path.join(root, 'README.md'), 'utf8');

async function arithmetic() {
  return (await import('../scripts/scale.mjs' as string)) as {
    load(input: object): Record<string, number>;
    cost(input: object): { lines: Record<string, number>; total: number };
    gives(input: object): Record<string, number | undefined>;
    table(loads: number[], input?: object): string;
  };
}

describe('the arithmetic of scale', () => {
  it('needs a shard for each 1,000 writes a second, and ten lanes for each shard', async () => {
    const { load } = await arithmetic();
    expect([1, 1000, 1001, 1e6].map((changesPerSecond) => load({ changesPerSecond }).shards)).toEqual([1, 1, 2, 1000]);
    expect(load({ changesPerSecond: 1e4, parallelization: 4 }).lanes).toBe(40);
    expect(load({ changesPerSecond: 1000, itemKb: 3.5 }).shards).toBe(4);
  });

  it('fills batches as the window lets it, and never above the batch size or the payload', async () => {
    const { load } = await arithmetic();
    expect(load({ changesPerSecond: 10 }).batch).toBe(5);
    expect(load({ changesPerSecond: 1000 }).batch).toBe(100);
    expect(load({ changesPerSecond: 1000, batchSize: 10_000, itemKb: 100, windowMs: 300_000 }).batch).toBe(22);
  });

  it('runs 1,000 changes a second of 20 ms in two invocations at once', async () => {
    const { load } = await arithmetic();
    const { runMs, invocationsPerSecond, concurrency, keepsUp } = load({ changesPerSecond: 1000 });
    expect([runMs, invocationsPerSecond, keepsUp]).toEqual([205, 10, true]);
    expect(concurrency).toBeCloseTo(2.05);
  });

  it('falls behind where a lane takes longer than its records come', async () => {
    const { load } = await arithmetic();
    expect(load({ changesPerSecond: 1000, handlerMs: 2000 }).keepsUp).toBe(false);
    expect(load({ changesPerSecond: 1000, handlerMs: 2000, handlersAtOnce: 500, batchSize: 500 }).keepsUp).toBe(true);
  });

  it('multiplies prices out: writes to table and index, requests, time', async () => {
    const { cost } = await arithmetic();
    const { lines, total } = cost({ changesPerSecond: 1000 });
    expect(lines['table writes']).toBeCloseTo(2 * 1000 * 730 * 3600 * 0.625e-6);
    expect(lines['idempotency reads']).toBeCloseTo(10 * 0.5 * 730 * 3600 * 0.125e-6);
    expect(lines['function time']).toBeCloseTo(10 * 0.205 * 730 * 3600 * 0.0000133334);
    expect(total).toBeCloseTo(Object.values(lines).reduce((sum, dollars) => sum + dollars, 0));
  });

  it('pays for as many alarms as the demo has, and for the metrics of a mapping that finds nothing to read', async () => {
    const { cost } = await arithmetic();
    const alarms = Object.keys(resources(demoTemplate(), 'AWS::CloudWatch::Alarm'));
    const { lines } = cost({ changesPerSecond: 0 });
    expect(lines.alarms).toBeCloseTo(alarms.length * 0.1);
    expect(lines['mapping metrics']).toBeCloseTo(7 * 0.3);
    expect(lines['own metrics']).toBe(0);
  });

  it('is in the README as the script prints it', async () => {
    const { table } = await arithmetic();
    expect(readme()).toContain(table([0, 10, 100, 1e3, 1e4, 1e5, 1e6]));
  });

  it('takes own numbers, and says what it takes where it does not know a name', () => {
    const run = (...options: string[]) => spawnSync('node', [script, ...options], { encoding: 'utf8' });
    expect(run('--changesPerSecond=50', '--handlerMs=5').stdout).toContain('| 50 | 1 | 10 |');
    expect(run('--speed=9').stderr).toContain('"--speed=9" is not an assumption; write --name=number');
    expect(run('--speed=9').status).not.toBe(0);
  });
});

describe('the picture', () => {
  it('is what its script draws (npm run picture)', async () => {
    const { draw } = (await import('../scripts/draw-architecture.mjs' as string)) as { draw(): string };
    expect(fs.readFileSync(path.join(root, 'docs', 'architecture.svg'), 'utf8')).toBe(draw());
  });
});

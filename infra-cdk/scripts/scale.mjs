#!/usr/bin/env node
// What a stream of changes needs and costs, in arithmetic that can be run with your own numbers: npm run scale -- --help

/** What is assumed unless said otherwise. Sizes in KB, durations in ms, memory in MB. */
export const ASSUMPTIONS = {
  changesPerSecond: 1000,
  itemKb: 1,
  batchSize: 100,
  windowMs: 5000,
  parallelization: 10,
  handlerMs: 20,
  overheadMs: 5,
  handlersAtOnce: 10,
  memoryMb: 1024,
  hoursPerMonth: 730,
  deadLetterShare: 0.0001,
};

/** List prices in US dollars, us-east-1, arm64, without free tiers; check them before you rely on them. */
export const PRICES = {
  writeMillion: 0.625,
  readMillion: 0.125,
  requestMillion: 0.2,
  gbSecond: 0.0000133334,
  sqsMillion: 0.4,
  logsGb: 0.5,
  traceMillion: 5,
  eventMetricMonth: 0.3,
  customMetricMonth: 0.3,
  alarmMonth: 0.1,
  dashboardMonth: 3,
  keyMonth: 1,
  cacheHour: 0.02,
};

/** Limits that AWS publishes: one shard takes what one partition writes. */
export const LIMITS = { shardWritesPerSecond: 1000, payloadKb: 6000, accountConcurrency: 1000, logKbPerInvocation: 1.5 };

const OWN_METRICS = 23;
const MAPPING_METRICS = 7;
const ALARMS = 18;

/** Shards, batches and concurrency that a load needs. */
export function load(input = {}) {
  const a = { ...ASSUMPTIONS, ...input };
  const writeUnits = a.changesPerSecond * Math.ceil(a.itemKb);
  const shards = Math.max(1, Math.ceil(writeUnits / LIMITS.shardWritesPerSecond));
  const lanes = shards * a.parallelization;
  const perLane = a.changesPerSecond / lanes;
  // A change carries both images; JSON makes them about a third larger.
  const recordKb = 2 * a.itemKb * 1.33 + 0.5;
  const fits = Math.max(1, Math.min(a.batchSize, Math.floor(LIMITS.payloadKb / recordKb)));
  const waves = (records) => Math.ceil(records / a.handlersAtOnce);
  const fillMs = perLane === 0 ? Infinity : (fits / perLane) * 1000;
  const gathered = perLane === 0 ? 0 : Math.max(1, Math.min(fits, (perLane * a.windowMs) / 1000));
  const invocationMs = a.overheadMs + waves(gathered) * a.handlerMs;
  // While an invocation runs, the next batch of the lane gathers: under load batches are as large as that, up to the limit.
  const backlog = Math.min(fits, Math.max(gathered, (perLane * invocationMs) / 1000));
  const batch = Math.max(gathered, backlog);
  const runMs = a.overheadMs + waves(batch) * a.handlerMs;
  const invocationsPerSecond = batch === 0 ? 0 : a.changesPerSecond / batch;
  const concurrency = (invocationsPerSecond * runMs) / 1000;
  return {
    shards,
    lanes,
    batch,
    waitMs: Math.min(a.windowMs, fillMs),
    runMs,
    invocationsPerSecond,
    concurrency,
    lanesBusy: concurrency / lanes,
    keepsUp: concurrency <= lanes,
    writeUnits,
  };
}

/** Dollars a month, by what they are paid for. */
export function cost(input = {}) {
  const a = { ...ASSUMPTIONS, ...input };
  const l = load(a);
  const seconds = a.hoursPerMonth * 3600;
  const millions = (perSecond) => (perSecond * seconds) / 1e6;
  const gb = (kbPerSecond) => (kbPerSecond * seconds) / 1e6;
  const tracesPerSecond = l.invocationsPerSecond <= 1 ? l.invocationsPerSecond : 1 + 0.05 * (l.invocationsPerSecond - 1);
  const idle = l.invocationsPerSecond === 0;
  const lines = {
    'table writes': millions(l.writeUnits) * PRICES.writeMillion * 2,
    // An invocation asks once for what is done, and half a unit is enough; it writes nothing where nothing fails.
    'idempotency reads': millions(l.invocationsPerSecond * 0.5) * PRICES.readMillion,
    'function requests': millions(l.invocationsPerSecond) * PRICES.requestMillion,
    'function time': l.invocationsPerSecond * (l.runMs / 1000) * (a.memoryMb / 1024) * seconds * PRICES.gbSecond,
    'dead letters': millions(a.changesPerSecond * a.deadLetterShare) * PRICES.sqsMillion,
    'redrive polling': millions(5 / 20) * PRICES.sqsMillion,
    'function logs': gb(l.invocationsPerSecond * LIMITS.logKbPerInvocation) * PRICES.logsGb,
    traces: millions(tracesPerSecond) * PRICES.traceMillion,
    'own metrics': idle ? 0 : OWN_METRICS * PRICES.customMetricMonth,
    // Lambda emits them at each poll, of an idle stream too.
    'mapping metrics': MAPPING_METRICS * PRICES.eventMetricMonth,
    alarms: ALARMS * PRICES.alarmMonth,
    dashboard: PRICES.dashboardMonth,
    key: PRICES.keyMonth,
    'API cache': a.hoursPerMonth * PRICES.cacheHour,
  };
  return { lines, total: Object.values(lines).reduce((sum, value) => sum + value, 0) };
}

/** The load at which each limit gives, lowest first. */
export function gives(input = {}) {
  const a = { ...ASSUMPTIONS, ...input };
  const steps = [10, 30, 100, 300, 1e3, 3e3, 1e4, 3e4, 1e5, 3e5, 1e6];
  const first = (test) => steps.find((changesPerSecond) => test(load({ ...a, changesPerSecond })));
  return {
    'reserved concurrency of 100': first((l) => l.concurrency > 100),
    'default account concurrency of 1,000': first((l) => l.concurrency > LIMITS.accountConcurrency),
    'lanes (shards × parallelization)': first((l) => !l.keepsUp),
    'default table quota of 40,000 write units': first((l) => l.writeUnits * 2 > 40_000),
  };
}

/** The table of a README: one row a load. */
export function table(loads, input = {}) {
  const head = ['changes/s', 'shards', 'lanes', 'records a batch', 'wait ms', 'invocation ms', 'invocations/s', 'concurrency', '$ a month'];
  const rows = loads.map((changesPerSecond) => {
    const l = load({ ...input, changesPerSecond });
    const { total } = cost({ ...input, changesPerSecond });
    const numbers = [changesPerSecond, l.shards, l.lanes, l.batch, l.waitMs, l.runMs, l.invocationsPerSecond, l.concurrency, total];
    return numbers.map(figure);
  });
  const line = (cells) => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---:')), ...rows.map(line)].join('\n');
}

function figure(value) {
  return value === Infinity ? '–' : value.toLocaleString('en-US', { maximumFractionDigits: value < 10 ? 1 : 0 });
}

function readOptions(words) {
  const options = {};
  for (const word of words) {
    const [, name, value] = /^--([a-zA-Z]+)=([0-9.e]+)$/.exec(word) ?? [];
    if (!(name in ASSUMPTIONS) || Number.isNaN(Number(value))) {
      throw new Error(`"${word}" is not an assumption; write --name=number with one of ${Object.keys(ASSUMPTIONS).join(', ')}`);
    }
    options[name] = Number(value);
  }
  return options;
}

function main(words) {
  if (words.includes('--help')) {
    console.log('usage: npm run scale -- [--name=number …]\n\nassumptions:', ASSUMPTIONS);
    return;
  }
  const options = readOptions(words);
  const loads = 'changesPerSecond' in options ? [0, options.changesPerSecond] : [0, 10, 100, 1e3, 1e4, 1e5, 1e6];
  console.log(table(loads, options));
  const asked = cost(options);
  console.log(`\nat ${figure({ ...ASSUMPTIONS, ...options }.changesPerSecond)} changes/s, dollars a month:`);
  for (const [what, dollars] of Object.entries(asked.lines)) {
    console.log(`  ${what.padEnd(18)} ${dollars.toFixed(2).padStart(12)}`);
  }
  console.log(`  ${'all of it'.padEnd(18)} ${asked.total.toFixed(2).padStart(12)}`);
  const { handlerMs } = { ...ASSUMPTIONS, ...options };
  console.log(`\none item changes at most ${figure(1000 / handlerMs)} times a second: its changes follow one another`);
  console.log('\nwhat gives first, by changes/s:');
  for (const [what, changes] of Object.entries(gives(options))) {
    console.log(`  ${what}: ${changes === undefined ? 'not up to a million' : figure(changes)}`);
  }
}

if (process.argv[1] && import.meta.url === new URL(`file://${process.argv[1]}`).href) {
  main(process.argv.slice(2));
}

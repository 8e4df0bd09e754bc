#!/usr/bin/env node
// Draws docs/architecture.svg: npm run picture. Boxes and arrows are data; where a box stands is its column and row.
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const COLUMN = 268;
const ROW = 118;
const BOX = { width: 196, height: 70 };
const MARGIN = 24;
const COLOURS = { data: '#2f6db5', compute: '#c86a12', failed: '#b23a48', api: '#6b4fa0', watch: '#3d7a4f' };

const BOXES = {
  writer: { at: [0, 0], kind: 'data', lines: ['Writers', 'put, update, delete, TTL'] },
  table: { at: [1, 0], kind: 'data', lines: ['Table', 'on demand, encrypted', 'point-in-time recovery'] },
  mapping: { at: [2, 0], kind: 'compute', lines: ['Event source mapping', '100 records or 5 s, 10 at once', 'partial responses, bisect'] },
  stream: { at: [3, 0], kind: 'compute', lines: ['Stream function', 'Rust, arm64, 1024 MB, 60 s', '100 reserved'] },
  logs: { at: [4, 0], kind: 'watch', lines: ['Logs, metrics, traces', 'JSON and EMF', '30 days'] },
  discarded: { at: [1, 1], kind: 'failed', lines: ['Discarded batches', 'bucket, records included', '30 days'] },
  deadLetters: { at: [3, 1], kind: 'failed', lines: ['Dead letters', 'queue, whole records', '14 days'] },
  alarms: { at: [4, 1], kind: 'watch', lines: ['Alarms, dashboard', 'encrypted topic', 'e-mail'] },
  failed: { at: [2, 2], kind: 'failed', lines: ['Failed invocations', 'queue, asynchronous calls', '14 days'] },
  redrive: { at: [2, 1], kind: 'failed', lines: ['Redrive queue', 'mapped to the function', '3 receives, then back'] },
  caller: { at: [0, 3], kind: 'api', lines: ['Callers', 'allow-list, API key', 'signature for POST'] },
  api: { at: [1, 3], kind: 'api', lines: ['REST API', 'validator, throttle, quota', 'cache on GET, access log'] },
  done: { at: [4, 3], kind: 'data', lines: ['Idempotency table', 'what is done', 'rows expire'] },
  onDemand: { at: [3, 3], kind: 'compute', lines: ['On-demand function', 'the same code, 28 s', '250 reserved'] },
};

// Ends are [box, side, shift along the side]; an arrow with a corner turns once, one with an elbow turns twice.
const ARROWS = [
  { from: ['writer', 'e'], to: ['table', 'w'] },
  { from: ['table', 'e'], to: ['mapping', 'w'], label: 'stream' },
  { from: ['mapping', 'e'], to: ['stream', 'w'], label: 'batch' },
  { from: ['stream', 'e'], to: ['logs', 'w'] },
  { from: ['mapping', 'w', 22], to: ['discarded', 'e'], elbow: true, label: 'over 12 h', failed: true },
  { from: ['redrive', 'n', 30], to: ['mapping', 's', 30], label: 'put back', failed: true },
  { from: ['stream', 's'], to: ['deadLetters', 'n'], label: 'failed for good', failed: true },
  { from: ['logs', 's'], to: ['alarms', 'n'] },
  { from: ['deadLetters', 'w'], to: ['redrive', 'e'], label: 'by hand', failed: true },
  { from: ['onDemand', 'n'], to: ['deadLetters', 's'], label: 'failed for good', failed: true },
  { from: ['onDemand', 'w', -22], to: ['failed', 's'], corner: true, label: 'asynchronous', failed: true },
  { from: ['stream', 'e', 22], to: ['done', 'w', -22], elbow: true, label: 'done' },
  { from: ['onDemand', 'e', 12], to: ['done', 'w', 12] },
  { from: ['caller', 'e'], to: ['api', 'w'] },
  { from: ['api', 'e'], to: ['onDemand', 'w'], label: 'GET and POST /process' },
];

function corner({ at: [column, row] }) {
  return [MARGIN + column * COLUMN, MARGIN + row * ROW];
}

function end([name, side, shift = 0]) {
  const [x, y] = corner(BOXES[name]);
  const middle = [x + BOX.width / 2, y + BOX.height / 2];
  switch (side) {
    case 'e':
      return [x + BOX.width, middle[1] + shift];
    case 'w':
      return [x, middle[1] + shift];
    case 'n':
      return [middle[0] + shift, y];
    default:
      return [middle[0] + shift, y + BOX.height];
  }
}

function drawBox({ at, kind, lines }) {
  const [x, y] = corner({ at });
  const colour = COLOURS[kind];
  const text = lines.map((line, index) => {
    const style = index === 0 ? `font-weight="bold" fill="${colour}"` : 'font-size="11.5" fill="#333"';
    return `  <text x="${x + 12}" y="${y + 23 + index * 17}" ${style}>${line}</text>`;
  });
  const frame = `  <rect x="${x}" y="${y}" width="${BOX.width}" height="${BOX.height}" rx="6" fill="#fff" stroke="${colour}" stroke-width="1.8"/>`;
  return [frame, ...text].join('\n');
}

function drawArrow(arrow) {
  const points = wayOf(arrow);
  const colour = arrow.failed ? COLOURS.failed : '#555';
  const dash = arrow.failed ? ' stroke-dasharray="5 4"' : '';
  const marker = arrow.failed ? 'failed' : 'way';
  const line = `  <polyline points="${points.map((p) => p.join(',')).join(' ')}" fill="none" stroke="${colour}" stroke-width="1.6"${dash} marker-end="url(#${marker})"/>`;
  return arrow.label ? `${line}\n${drawLabel(arrow.label, points, colour)}` : line;
}

function wayOf({ from, to, corner: turns, elbow }) {
  const start = end(from);
  const finish = end(to);
  if (turns) {
    return [start, [finish[0], start[1]], finish];
  }
  const middle = (start[0] + finish[0]) / 2;
  return elbow ? [start, [middle, start[1]], [middle, finish[1]], finish] : [start, finish];
}

// The label is at the middle of the longest stretch: above a horizontal one, next to a vertical one.
function drawLabel(label, points, colour) {
  const stretches = points.slice(1).map((point, index) => [points[index], point]);
  const length = ([[x1, y1], [x2, y2]]) => Math.abs(x2 - x1) + Math.abs(y2 - y1);
  const [start, finish] = stretches.reduce((longest, stretch) => (length(stretch) > length(longest) ? stretch : longest));
  const [x, y] = [(start[0] + finish[0]) / 2, (start[1] + finish[1]) / 2];
  const [dx, dy, anchor] = start[0] === finish[0] ? [7, -8, 'start'] : [0, -7, 'middle'];
  return `  <text x="${x + dx}" y="${y + dy}" font-size="11" text-anchor="${anchor}" fill="${colour}">${label}</text>`;
}

/** The whole picture. */
export function draw() {
  const width = 2 * MARGIN + 4 * COLUMN + BOX.width;
  const height = 2 * MARGIN + 3 * ROW + BOX.height;
  const marker = (id, colour) =>
    `    <marker id="${id}" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" orient="auto-start-reverse"><path d="M0 0L10 5L0 10z" fill="${colour}"/></marker>`;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="DejaVu Sans, Verdana, sans-serif" font-size="13.5" role="img">`,
    '  <title>The system that infra-cdk deploys</title>',
    `  <desc>${describe()}</desc>`,
    `  <rect width="${width}" height="${height}" fill="#fafafa"/>`,
    '  <defs>',
    marker('way', '#555'),
    marker('failed', COLOURS.failed),
    '  </defs>',
    ...ARROWS.map(drawArrow),
    ...Object.values(BOXES).map(drawBox),
    '</svg>',
    '',
  ].join('\n');
}

function describe() {
  const name = (id) => BOXES[id].lines[0];
  return ARROWS.map(({ from, to, label }) => `${name(from[0])} to ${name(to[0])}${label ? ` (${label})` : ''}`).join('; ');
}

if (process.argv[1] && import.meta.url === new URL(`file://${process.argv[1]}`).href) {
  writeFileSync(fileURLToPath(new URL('../docs/architecture.svg', import.meta.url)), draw());
}

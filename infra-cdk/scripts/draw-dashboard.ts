// Draws src/docs/dashboard.svg, the dashboard of the demo stack in an hour with an incident: npm run dashboard. Widgets, their
// order and the alarms' thresholds are those of the template; the numbers those of `cargo run --example incident`.
import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { demoTemplate } from '../test/support';
import { Run, Series, Watched, Widget, alarmsOf, condition, widgetsOf } from './dashboard-numbers';

/** The picture, and the same as a link that rustdoc can show on any host. */
export const PICTURE = path.join(__dirname, '..', '..', 'src', 'docs', 'dashboard.svg');
export const PICTURE_LINK = path.join(__dirname, '..', '..', 'src', 'docs', 'dashboard.link');

/** A picture as the link `[dashboard]` of a Markdown page. */
export function linkTo(svg: string): string {
  return `[dashboard]: data:image/svg+xml;base64,${Buffer.from(svg).toString('base64')}\n`;
}

const WIDTH = 1200;
const GAP = 12;
const PLOT = 88;
const COLOURS = ['#1f6fb2', '#d9730d', '#2e8b57', '#7a52a8', '#8a6d3b'];
const ALARM = '#c0392b';

const escape = (text: string): string => text.replace(/&/g, '&amp;').replace(/</g, '&lt;');
const text = (x: number, y: number, what: string, more = ''): string => `<text x="${x}" y="${y}"${more}>${escape(what)}</text>`;

/** A number as an axis has it. */
function short(number: number): string {
  return number >= 10_000 ? `${Math.round(number / 1_000)}k` : String(Number(number.toPrecision(3)));
}

class Picture {
  private readonly parts: string[] = [];
  private y = 16;

  constructor(
    private readonly run: Run,
    private readonly alarms: Watched[],
  ) {}

  draw(widgets: Widget[]): string {
    this.addHappenings();
    for (let next = 0; next < widgets.length; ) {
      const { type, title } = widgets[next]!;
      if (type === 'metric') {
        const row = widgets.slice(next).findIndex((widget) => widget.type !== 'metric');
        const graphs = widgets.slice(next, row < 0 ? undefined : next + row);
        this.addGraphs(graphs);
        next += graphs.length;
      } else {
        this.add(text(GAP, this.y + 14, title, ' class="h"'));
        this.y += 24;
        if (type === 'alarm') {
          this.addAlarms();
        }
        next += 1;
      }
    }
    return this.frame();
  }

  private add(...parts: string[]): void {
    this.parts.push(...parts);
  }

  private addHappenings(): void {
    this.add(text(GAP, this.y + 10, 'One hour, minute by minute:', ' class="t"'));
    this.run.happenings.forEach(({ minute, what }, index) => {
      this.add(text(196 + index * 196, this.y + 10, `${letter(index)} ${what} (:${String(minute).padStart(2, '0')})`));
    });
    this.y += 26;
  }

  /** A strip of time for each alarm: dark where it is on. */
  private addAlarms(): void {
    const columns = 3;
    const width = (WIDTH - GAP * (columns + 1)) / columns;
    const name = 190;
    this.alarms.forEach((alarm, index) => {
      const x = GAP + (index % columns) * (width + GAP);
      const y = this.y + Math.floor(index / columns) * 18;
      const step = (width - name) / this.run.minutes;
      const minutes = alarm.periods * alarm.minutes;
      this.add(text(x, y + 11, `${alarm.name} ${condition(alarm, short(alarm.threshold))}${minutes > 1 ? `, ${minutes} min` : ''}`));
      this.add(`<rect x="${x + name}" y="${y + 2}" width="${round(width - name)}" height="11" fill="#bfdcc9"/>`);
      for (const [from, to] of spans(this.run.isOn(alarm))) {
        this.add(`<rect x="${round(x + name + from * step)}" y="${y + 2}" width="${round((to - from) * step)}" height="11" fill="${ALARM}"/>`);
      }
    });
    this.y += Math.ceil(this.alarms.length / columns) * 18 + 10;
  }

  private addGraphs(widgets: Widget[]): void {
    const total = widgets.reduce((sum, { width }) => sum + width, 0);
    let x = GAP;
    for (const widget of widgets) {
      const width = (widget.width / total) * (WIDTH - GAP) - GAP;
      this.addGraph(widget, x, width);
      x += width + GAP;
    }
    this.y += PLOT + 68;
  }

  private addGraph({ title, series }: Widget, x: number, width: number): void {
    const left = x + 38;
    const plot = width - 46;
    const top = this.y + 20;
    const numbers = series.map((one) => this.run.numbers(one));
    const watching = this.alarms.filter((alarm) => series.some((one) => isOf(alarm, one)));
    const thresholds = [...new Set(watching.map(({ threshold }) => threshold))];
    const watched = (limit: number): string => {
      const there = watching.filter(({ threshold }) => threshold === limit);
      return `${there.map(({ name }) => name).join(', ')} ${condition(there[0]!, limit.toLocaleString('en'))}`;
    };
    const isEmpty = numbers.flat().every((number) => number === undefined);
    const most = Math.max(1, ...numbers.flat().map((number) => number ?? 0), ...thresholds) * 1.12;
    const across = (minute: number): number => round(left + ((minute + 0.5) / this.run.minutes) * plot);
    const up = (number: number): number => round(top + PLOT * (1 - number / most));

    this.add(`<rect x="${x}" y="${this.y}" width="${round(width)}" height="${PLOT + 62}" class="w"/>`);
    this.add(text(x + 6, this.y + 13, title, ' class="t"'));
    this.add(`<path d="M${left} ${top}V${top + PLOT}H${round(left + plot)}" class="a"/>`);
    this.add(text(left - 4, up(most / 1.12) + 4, short(most / 1.12), ' class="e"'), text(left - 4, top + PLOT, '0', ' class="e"'));
    this.run.happenings.forEach(({ minute }, index) => {
      const at = round(left + (minute / this.run.minutes) * plot);
      this.add(`<path d="M${at} ${top}v${PLOT}" class="v"/>`, text(at, top + PLOT + 10, letter(index), ' class="m"'));
    });
    for (const threshold of thresholds) {
      this.add(`<path d="M${left} ${up(threshold)}h${round(plot)}" class="l"/>`);
      this.add(text(left + plot, up(threshold) - 3, watched(threshold), ' class="x"'));
    }
    numbers.forEach((line, index) => this.add(...lines(line, across, up, COLOURS[index]!)));
    if (isEmpty) {
      this.add(text(left + plot / 2, top + PLOT / 2 + 4, 'nothing in this hour', ' class="m"'));
    }
    let [legend, line] = [x + 8, top + PLOT + 16];
    series.forEach(({ label, metric, statistic }, index) => {
      const name = label === metric && /^p\d+$/.test(statistic) ? `${label} ${statistic}` : label;
      const wide = 22 + name.length * 5.6;
      if (legend + wide > x + width) {
        [legend, line] = [x + 8, line + 13];
      }
      this.add(`<rect x="${round(legend)}" y="${line}" width="8" height="8" fill="${COLOURS[index]}"/>`);
      this.add(text(round(legend + 11), line + 8, name, ' class="s"'));
      legend += wide;
    });
  }

  private frame(): string {
    const [title, description] = ['The dashboard of infra-cdk in an hour with an incident', this.run.happenings.map(({ what }) => what).join('; ')];
    return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${this.y}" font-family="DejaVu Sans, Verdana, sans-serif" font-size="11" fill="#333" role="img">
<title>${title}</title>
<desc>${escape(description)}</desc>
<style>.h{font-size:14px;font-weight:bold}.t{font-weight:bold}.w{fill:#fff;stroke:#ddd}.a{fill:none;stroke:#999}.v{stroke:#bbb;stroke-dasharray:2 3}.l{stroke:${ALARM};stroke-dasharray:6 4}.x{fill:${ALARM};text-anchor:end;font-size:9.5px}.e{text-anchor:end;font-size:9.5px;fill:#777}.m{text-anchor:middle;font-size:9.5px;fill:#777}.s{font-size:9.5px}.n{fill:none;stroke-width:1.5}</style>
<rect width="${WIDTH}" height="${this.y}" fill="#f7f7f7"/>
${this.parts.join('\n')}
</svg>
`;
  }
}

function isOf(alarm: Series, series: Series): boolean {
  return (['namespace', 'metric', 'of', 'statistic'] as const).every((part) => alarm[part] === series[part]);
}

/** A line for each stretch of minutes that have a number. */
function lines(numbers: (number | undefined)[], across: (minute: number) => number, up: (number: number) => number, colour: string): string[] {
  return spans(numbers.map((number) => number !== undefined)).map(([from, to]) => {
    const points = numbers.slice(from, to).map((number, index) => `${across(from + index)} ${up(number!)}`);
    return `<path d="M${points.join(' ')}${points.length === 1 ? 'h1' : ''}" class="n" stroke="${colour}"/>`;
  });
}

/** From where to where it is true. */
function spans(flags: boolean[]): [number, number][] {
  const spans: [number, number][] = [];
  flags.forEach((flag, index) => {
    if (flag && flags[index - 1]) {
      spans.at(-1)![1] = index + 1;
    } else if (flag) {
      spans.push([index, index + 1]);
    }
  });
  return spans;
}

function letter(index: number): string {
  return String.fromCharCode('a'.charCodeAt(0) + index);
}

function round(number: number): number {
  return Math.round(number * 10) / 10;
}

if (require.main === module) {
  const cargo = spawnSync('cargo', ['run', '--quiet', '--example', 'incident'], {
    cwd: path.join(__dirname, '..', '..'),
    encoding: 'utf8',
    maxBuffer: 1 << 30,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  if (cargo.status !== 0) {
    throw new Error('the run with the incident failed');
  }
  const template = demoTemplate();
  const svg = new Picture(new Run(cargo.stdout), alarmsOf(template)).draw(widgetsOf(template));
  fs.writeFileSync(PICTURE, svg);
  fs.writeFileSync(PICTURE_LINK, linkTo(svg));
}

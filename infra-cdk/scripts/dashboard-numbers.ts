import { Template } from 'aws-cdk-lib/assertions';
import { Resource, resources } from '../test/support';

/** One line of a graph, or what an alarm looks at. */
export interface Series {
  readonly namespace: string;
  readonly metric: string;
  /** What the numbers are of: a queue's name, a function's, a table's. */
  readonly of: string;
  readonly statistic: string;
  readonly label: string;
}

/** An alarm: on when the number is that large, or that small, so many periods in a row. */
export interface Watched extends Series {
  readonly name: string;
  readonly threshold: number;
  /** Whether it is on below the threshold and where there is no number, otherwise at the threshold and above. */
  readonly below: boolean;
  readonly periods: number;
  readonly minutes: number;
}

/** The widgets of the dashboard, in their order. */
export interface Widget {
  readonly type: 'alarm' | 'text' | 'metric';
  readonly title: string;
  readonly width: number;
  readonly series: readonly Series[];
}

/** The widgets of a template's only dashboard; references are logical ids in it. */
export function widgetsOf(template: Template): Widget[] {
  const [dashboard] = Object.values(resources(template, 'AWS::CloudWatch::Dashboard'));
  const body = JSON.parse(textOf(dashboard!.Properties.DashboardBody)) as { widgets: any[] };
  return body.widgets.map(({ type, width, properties }) => ({
    type,
    width,
    title: type === 'text' ? properties.markdown.replace(/^#+ /, '') : properties.title,
    series: (properties.metrics ?? []).map(([namespace, metric, , of, options]: any[]) => ({
      namespace,
      metric,
      of,
      statistic: options.stat,
      label: options.label ?? metric,
    })),
  }));
}

/** A template's alarms, in the order of its dashboard. */
export function alarmsOf(template: Template): Watched[] {
  return Object.entries(resources(template, 'AWS::CloudWatch::Alarm')).map(([id, { Properties }]) => watched(id, Properties));
}

function watched(id: string, alarm: Resource['Properties']): Watched {
  return {
    name: id.replace(/^.*Alarms/, '').replace(/[0-9A-F]{8}$/, ''),
    namespace: alarm.Namespace,
    metric: alarm.MetricName,
    of: textOf(alarm.Dimensions[0].Value),
    statistic: alarm.Statistic ?? alarm.ExtendedStatistic,
    label: alarm.MetricName,
    threshold: alarm.Threshold,
    below: alarm.ComparisonOperator === 'LessThanThreshold',
    periods: alarm.EvaluationPeriods,
    minutes: alarm.Period / 60,
  };
}

/** When an alarm is on, as a person writes it. */
export function condition({ below }: Watched, threshold: string): string {
  return `${below ? '<' : '≥'} ${threshold}`;
}

/** A value of a template as a text, in which references are logical ids. */
function textOf(value: any): string {
  if (typeof value === 'string') {
    return value;
  }
  return value.Ref ?? (value['Fn::GetAtt'] ? value['Fn::GetAtt'][0] : value['Fn::Join'][1].map(textOf).join(value['Fn::Join'][0]));
}

/** Something that happened in the run, and in which minute. */
export interface Happening {
  readonly minute: number;
  readonly what: string;
}

/** The numbers of a run, as CloudWatch would have them. */
export class Run {
  readonly happenings: Happening[] = [];
  readonly minutes: number;
  private readonly values = new Map<string, number[][]>();

  /** Reads what `cargo run --example incident` printed: documents of metrics, and what AWS measures by itself. */
  constructor(lines: string) {
    const parsed = lines.trim().split('\n').map((line) => JSON.parse(line));
    const time = (line: any): number => line.Timestamp ?? line._aws.Timestamp;
    const begun = Math.min(...parsed.slice(0, 100).map(time));
    for (const line of parsed) {
      const minute = Math.floor((time(line) - begun) / 60_000);
      if (line.event) {
        this.happenings.push({ minute, what: line.event });
      } else if (line._aws) {
        this.readDocument(line, minute);
      } else {
        this.note(`AWS ${line.metric}`, minute, [line.value]);
      }
    }
    // The last minute has barely begun.
    this.minutes = Math.floor((Math.max(...parsed.slice(-100).map(time)) - begun) / 60_000);
  }

  /** Numbers under the dimension `service` alone, which is what alarms and graphs ask for. */
  private readDocument(document: any, minute: number): void {
    for (const { Dimensions, Metrics } of document._aws.CloudWatchMetrics) {
      if (Dimensions.some((set: string[]) => set.length === 1 && set[0] === 'service')) {
        for (const { Name } of Metrics) {
          this.note(`own ${Name}`, minute, [document[Name]].flat());
        }
      }
    }
  }

  private note(key: string, minute: number, numbers: (number | null)[]): void {
    const minutes = this.values.get(key) ?? [];
    this.values.set(key, minutes);
    (minutes[minute] ??= []).push(...numbers.filter((number) => number !== null));
  }

  /** A series' number in each minute; nothing where there is none. */
  numbers({ namespace, metric, of, statistic }: Series): (number | undefined)[] {
    // The run has one queue that anything is in, and one table: the numbers of the others are not these.
    const known = !namespace.startsWith('AWS/ApiGateway') && !/FailedInvocations|Redrive|Idempotency/.test(of);
    const minutes = known ? this.values.get(`${namespace.startsWith('AWS/') ? 'AWS' : 'own'} ${metric}`) : undefined;
    return Array.from({ length: this.minutes }, (_, minute) => reduce(minutes?.[minute] ?? [], statistic));
  }

  /** Whether an alarm is on in each minute. */
  isOn(alarm: Watched): boolean[] {
    const { below, threshold } = alarm;
    const over = this.numbers(alarm).map((number) => (below ? (number ?? 0) < threshold : number !== undefined && number >= threshold));
    // Within a period one minute over the threshold is enough; below it, each has to be.
    const wanted = below ? alarm.periods * alarm.minutes : alarm.periods;
    return over.map((_, minute) => minute + 1 >= wanted && over.slice(minute + 1 - wanted, minute + 1).every(Boolean));
  }
}

function reduce(numbers: number[], statistic: string): number | undefined {
  if (numbers.length === 0) {
    return undefined;
  }
  switch (statistic) {
    case 'Sum':
      return numbers.reduce((sum, number) => sum + number, 0);
    case 'SampleCount':
      return numbers.length;
    case 'Maximum':
      return numbers.reduce((most, number) => Math.max(most, number), -Infinity);
    default: {
      const sorted = [...numbers].sort((one, other) => one - other);
      const share = Number(/^p(\d+)$/.exec(statistic)![1]) / 100;
      return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
    }
  }
}

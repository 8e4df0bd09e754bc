import { Duration, Token } from 'aws-cdk-lib';
import { Alarm, ComparisonOperator, IAlarmAction, Metric, TreatMissingData } from 'aws-cdk-lib/aws-cloudwatch';
import { Construct } from 'constructs';
import { check, checkRange } from './checks';

/** Options of one alarm: whether it is created, when it goes off, what it does, and which page says what to do. */
export interface AlarmOptions {
  /**
   * Whether to create the alarm.
   *
   * @default true
   */
  readonly enabled?: boolean;

  /**
   * The value that sets the alarm off, above 0, in the unit of the metric.
   *
   * @default - see the alarm
   */
  readonly threshold?: number;

  /**
   * The number of periods in a row that must reach the threshold: at least 1, and at most a day's, which is 1,440 periods
   * of one minute or 288 of five minutes.
   *
   * @default - see the alarm
   */
  readonly evaluationPeriods?: number;

  /**
   * What this alarm does when it goes off and when it is over. An empty list means nothing.
   *
   * @default - the actions of all alarms
   */
  readonly actions?: IAlarmAction[];

  /**
   * The URL of the page that says what to do. The alarm's description ends with it.
   *
   * @default - the section of `runbookBaseUrl` with the name of the alarm
   */
  readonly runbookUrl?: string;
}

/** Options that all alarms of a group share. */
export interface AlarmGroupOptions {
  /**
   * What an alarm does when it goes off and when it is over, such as an `SnsAction`.
   *
   * @default - nothing: the alarms only show in the console
   */
  readonly actions?: IAlarmAction[];

  /**
   * The URL of a page with a section for each alarm. The anchor is the alarm's name in lower case.
   *
   * @default - the page `operating` of the crate's documentation
   */
  readonly runbookBaseUrl?: string;
}

/** One thing to watch. */
export interface Watch {
  readonly id: string;
  readonly metric: Metric;
  readonly threshold: number;
  readonly description: string;
  readonly evaluationPeriods?: number;
  /** Sets the alarm off when the value is below the threshold or missing, instead of at or above it. */
  readonly whenBelow?: boolean;
  readonly options?: AlarmOptions;
}

const RUNBOOK_BASE_URL = 'https://docs.rs/lambda-streams/latest/lambda_streams/guide/operating/index.html';
// CloudWatch API reference, PutMetricAlarm: the periods of an alarm are a day at most.
const LONGEST = Duration.days(1);

/** Creates the alarms that are not turned off. */
export function createAlarms(scope: Construct, watches: Watch[], group: AlarmGroupOptions): Alarm[] {
  return watches.filter(({ options }) => options?.enabled ?? true).map((watch) => createAlarm(scope, watch, group));
}

/** The value that sets the alarm off. */
export function thresholdOf(watch: Watch): number {
  return watch.options?.threshold ?? watch.threshold;
}

function createAlarm(scope: Construct, watch: Watch, group: AlarmGroupOptions): Alarm {
  checkOptions(scope, watch);
  const { options, whenBelow } = watch;
  const alarm = new Alarm(scope, watch.id, {
    metric: watch.metric,
    threshold: thresholdOf(watch),
    evaluationPeriods: options?.evaluationPeriods ?? watch.evaluationPeriods ?? 1,
    comparisonOperator: whenBelow
      ? ComparisonOperator.LESS_THAN_THRESHOLD
      : ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
    treatMissingData: whenBelow ? TreatMissingData.BREACHING : TreatMissingData.NOT_BREACHING,
    alarmDescription: `${watch.description} Runbook: ${runbookOf(watch, group)}`,
  });
  const actions = options?.actions ?? group.actions ?? [];
  alarm.addAlarmAction(...actions);
  alarm.addOkAction(...actions);
  return alarm;
}

function checkOptions(scope: Construct, watch: Watch): void {
  const threshold = thresholdOf(watch);
  check(
    scope,
    Token.isUnresolved(threshold) || (Number.isFinite(threshold) && threshold > 0),
    `the threshold of the alarm ${watch.id} is ${threshold}; write a number above 0, or enabled: false for no such alarm`,
  );
  const periods = watch.options?.evaluationPeriods;
  const most = Math.floor(LONGEST.toSeconds() / watch.metric.period.toSeconds());
  checkRange(scope, `evaluationPeriods of the alarm ${watch.id}`, periods, 1, most);
}

function runbookOf({ id, options }: Watch, group: AlarmGroupOptions): string {
  return options?.runbookUrl ?? `${group.runbookBaseUrl ?? RUNBOOK_BASE_URL}#${id.toLowerCase()}`;
}

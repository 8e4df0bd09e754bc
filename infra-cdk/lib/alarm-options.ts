import { Duration, Token } from 'aws-cdk-lib';
import { Alarm, ComparisonOperator, IAlarmAction, Metric, TreatMissingData } from 'aws-cdk-lib/aws-cloudwatch';
import { Construct } from 'constructs';
import { check, checkRange } from './checks';

/** One alarm: whether it is made, when it goes off, what it does then, and where the reader finds what to do. */
export interface AlarmOptions {
  /**
   * Whether the alarm is made.
   *
   * @default true
   */
  readonly enabled?: boolean;

  /**
   * The value of the metric that sets the alarm off, above 0, in the unit of the metric.
   *
   * @default - see the alarm
   */
  readonly threshold?: number;

  /**
   * How many periods in a row the value must be that large, 1 to as many as make a day: 1,440 of one minute, 288 of five.
   *
   * @default - see the alarm
   */
  readonly evaluationPeriods?: number;

  /**
   * What this alarm does when it goes off and when it is over; an empty list is nothing.
   *
   * @default - the actions of all alarms
   */
  readonly actions?: IAlarmAction[];

  /**
   * The page that says what to do; the alarm's description ends with it.
   *
   * @default - the section of `runbookBaseUrl` that has the name of the alarm
   */
  readonly runbookUrl?: string;
}

/** What all alarms of a group have in common. */
export interface AlarmGroupOptions {
  /**
   * What an alarm does, an `SnsAction` for example, when it goes off and when it is over.
   *
   * @default - nothing: the alarms show in the console only
   */
  readonly actions?: IAlarmAction[];

  /**
   * A page with a section for each alarm; the name of the alarm in lower case is the anchor.
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

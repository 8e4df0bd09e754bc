import { Duration } from 'aws-cdk-lib';
import { Alarm, ComparisonOperator, IAlarmAction, IMetric, Stats, TreatMissingData } from 'aws-cdk-lib/aws-cloudwatch';
import { Construct } from 'constructs';
import { check } from './checks';
import type { StreamProcessor } from './stream-processor';

/** When the alarms of a processor go off. */
export interface StreamAlarmOptions {
  /**
   * What an alarm does, an `SnsAction` for one, when it goes off and when it is over.
   *
   * @default - nothing: the alarms show in the console alone
   */
  readonly actions?: IAlarmAction[];

  /**
   * How far the function may fall behind the stream; less than the age at which it gives up on a record.
   *
   * @default Duration.minutes(5)
   */
  readonly iteratorAge?: Duration;

  /**
   * The share of its timeout that an invocation may take, above 0 and up to 1.
   *
   * @default 0.8
   */
  readonly durationShare?: number;
}

/** Properties of `StreamAlarms`. */
export interface StreamAlarmsProps extends StreamAlarmOptions {
  /** What is watched. */
  readonly processor: StreamProcessor;
}

/** One thing to watch. */
interface Watch {
  readonly id: string;
  readonly metric: IMetric;
  readonly threshold: number;
  readonly description: string;
  readonly evaluationPeriods?: number;
}

/** An alarm for everything that needs a person: what is lost, what waits, what falls behind. */
export class StreamAlarms extends Construct {
  /** The alarms, those of failures first. */
  readonly alarms: Alarm[];

  constructor(scope: Construct, id: string, props: StreamAlarmsProps) {
    super(scope, id);
    this.checkProps(props);
    const watches = [...this.ofFailures(props), ...this.ofFunction(props), ...this.ofCrate(props)];
    this.alarms = watches.map((watch) => createAlarm(this, watch, props.actions));
  }

  private checkProps(props: StreamAlarmsProps): void {
    const share = props.durationShare ?? 0.8;
    check(this, share > 0 && share <= 1, `durationShare is ${share}; write a share of the timeout above 0 and up to 1`);
    const age = props.iteratorAge ?? Duration.minutes(5);
    const giveUpAfter = props.processor.settings.giveUpAfter!;
    check(
      this,
      age.toSeconds() < giveUpAfter.toSeconds(),
      `the iterator age alarm (${age.toHumanString()}) comes after the function has given up (${giveUpAfter.toHumanString()}); ` +
        'write a shorter iteratorAge',
    );
  }

  private ofFailures({ processor }: StreamAlarmsProps): Watch[] {
    const waiting = { period: Duration.minutes(1), statistic: Stats.MAXIMUM };
    const watches: Watch[] = [
      {
        id: 'DeadLettersWaiting',
        metric: processor.deadLetterQueue.metricApproximateNumberOfMessagesVisible(waiting),
        threshold: 1,
        description: 'Records failed for good and wait in the dead-letter queue. Read them, mend the cause, put them back.',
      },
      {
        id: 'BatchesDiscarded',
        metric: processor.metrics.discarded(),
        threshold: 1,
        description: 'The event source mapping gave up on records. They are at its on-failure destination.',
      },
      {
        id: 'RecordsDropped',
        metric: processor.metrics.dropped(),
        threshold: 1,
        description: 'The event source mapping dropped records. Look whether its on-failure destination took them.',
      },
    ];
    if (processor.failedInvocations) {
      watches.push({
        id: 'FailedInvocationsWaiting',
        metric: processor.failedInvocations.metricApproximateNumberOfMessagesVisible(waiting),
        threshold: 1,
        description: 'An asynchronous invocation failed for good. The message says which and why.',
      });
    }
    return watches;
  }

  private ofFunction(props: StreamAlarmsProps): Watch[] {
    const { processor } = props;
    const minute = Duration.minutes(1);
    const slow = processor.timeout.toMilliseconds() * (props.durationShare ?? 0.8);
    return [
      {
        id: 'FunctionErrors',
        metric: processor.function.metricErrors({ period: minute }),
        threshold: 1,
        description: 'An invocation failed as a whole: a crash, a timeout or an event that is not what the function reads.',
      },
      {
        id: 'FunctionThrottles',
        metric: processor.function.metricThrottles({ period: minute }),
        threshold: 1,
        evaluationPeriods: 5,
        description: 'The function is out of concurrency for five minutes on end, and the stream waits.',
      },
      {
        id: 'IteratorAge',
        metric: processor.function.metric('IteratorAge', { period: minute, statistic: Stats.MAXIMUM }),
        threshold: (props.iteratorAge ?? Duration.minutes(5)).toMilliseconds(),
        description: 'The function falls behind the stream. What holds it up is reported, not lost, until records grow too old.',
      },
      {
        id: 'DurationNearTimeout',
        metric: processor.function.metricDuration({ period: minute, statistic: Stats.MAXIMUM }),
        threshold: slow,
        description: 'Invocations come near the timeout. Give fewer records a batch, more concurrency or more time.',
      },
    ];
  }

  private ofCrate({ processor }: StreamAlarmsProps): Watch[] {
    return [
      {
        id: 'DeadLetterSendFailures',
        metric: processor.metrics.own('DeadLetterSendFailures'),
        threshold: 1,
        description: 'The dead-letter queue did not take records; they are reported and come again. Look at its policy and key.',
      },
      {
        id: 'DeadlineStops',
        metric: processor.metrics.own('DeadlineStops'),
        threshold: 1,
        evaluationPeriods: 3,
        description: 'Batches do not finish in one invocation, three minutes on end. They go on in the next one, but late.',
      },
    ];
  }
}

/** Creates an alarm that a missing value does not set off, and that says when it is over. */
export function createAlarm(scope: Construct, watch: Watch, actions: IAlarmAction[] = []): Alarm {
  const alarm = new Alarm(scope, watch.id, {
    metric: watch.metric,
    threshold: watch.threshold,
    evaluationPeriods: watch.evaluationPeriods ?? 1,
    comparisonOperator: ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
    treatMissingData: TreatMissingData.NOT_BREACHING,
    alarmDescription: watch.description,
  });
  alarm.addAlarmAction(...actions);
  alarm.addOkAction(...actions);
  return alarm;
}

import { Duration, Token } from 'aws-cdk-lib';
import { Alarm, Stats } from 'aws-cdk-lib/aws-cloudwatch';
import { CfnEventSourceMapping } from 'aws-cdk-lib/aws-lambda';
import { CfnQueue, IQueue } from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import { AlarmGroupOptions, AlarmOptions, Watch, createAlarms, thresholdOf } from './alarm-options';
import { check } from './checks';
import { unqualified } from './existing-function';
import type { StreamProcessor } from './stream-processor';

/** When the alarms of a processor go off, and what they do. */
export interface StreamAlarmOptions extends AlarmGroupOptions {
  /**
   * Dead letters wait in their queue.
   *
   * @default - one or more
   */
  readonly deadLettersWaiting?: AlarmOptions;

  /**
   * The oldest dead letter is about to expire. The threshold is its age in seconds.
   *
   * @default - six sevenths of the queue's retention, which is 12 of 14 days; for a queue of another app, of SQS's default
   * of 4 days
   */
  readonly deadLettersExpiring?: AlarmOptions;

  /**
   * The event source mapping gave up on records and handed them to its on-failure destination.
   *
   * @default - one record or more in a minute
   */
  readonly batchesDiscarded?: AlarmOptions;

  /**
   * The event source mapping dropped records that no on-failure destination took.
   *
   * @default - one record or more in a minute
   */
  readonly recordsDropped?: AlarmOptions;

  /**
   * Lambda could not write to an on-failure destination.
   *
   * @default - one failure or more in a minute
   */
  readonly destinationDeliveryFailures?: AlarmOptions;

  /**
   * Asynchronous invocations failed for good. Only if the construct creates the function.
   *
   * @default - one or more
   */
  readonly failedInvocationsWaiting?: AlarmOptions;

  /**
   * Dead letters that were moved to the redrive queue stay there. The threshold is the age of the oldest in seconds. Only
   * with `redrive`.
   *
   * @default - one hour or more
   */
  readonly redriveStuck?: AlarmOptions;

  /**
   * The event source mapping does not poll the stream. The threshold is the least number of polls in five minutes. Not
   * created for a mapping that is not enabled.
   *
   * @default - fewer than one poll in five minutes, three times in a row
   */
  readonly mappingStopped?: AlarmOptions;

  /**
   * Invocations fail as a whole. The threshold is their number in a minute.
   *
   * @default - one invocation or more in a minute
   */
  readonly functionErrors?: AlarmOptions;

  /**
   * The function is out of concurrency.
   *
   * @default - one throttled invocation or more per minute, five minutes in a row
   */
  readonly functionThrottles?: AlarmOptions;

  /**
   * The function lags the stream. The threshold is in milliseconds, and must be below the age at which the function gives up on a
   * record.
   *
   * @default - five minutes (300,000 ms) or more
   */
  readonly iteratorAge?: AlarmOptions;

  /**
   * Invocations come close to the function's timeout. The threshold is in milliseconds, and must not be above the timeout.
   *
   * @default - 80 % of the timeout or more
   */
  readonly durationNearTimeout?: AlarmOptions;

  /**
   * The dead-letter queue does not take records.
   *
   * @default - one record or more in a minute
   */
  readonly deadLetterSendFailures?: AlarmOptions;

  /**
   * Batches do not finish in one invocation.
   *
   * @default - one batch or more per minute, three minutes in a row
   */
  readonly deadlineStops?: AlarmOptions;

  /**
   * The idempotency table cannot be read or written, so records may be processed twice. Only with `idempotency`.
   *
   * @default - one failed call or more in five minutes, three times in a row
   */
  readonly markFailures?: AlarmOptions;

  /**
   * Records have a sequence number below their item's high-water mark although they are newer. They are processed. Only with
   * `idempotency`.
   *
   * @default - one record or more in a minute
   */
  readonly markRegressions?: AlarmOptions;
}

/** Properties of `StreamAlarms`. */
export interface StreamAlarmsProps extends StreamAlarmOptions {
  /** What is watched. */
  readonly processor: StreamProcessor;
}

const MINUTE = Duration.minutes(1);
const SQS_RETENTION = Duration.days(4);
/** The share of a letter's life after which the alarm goes off: 12 of 14 days. */
const EXPIRING = 6 / 7;
const NEAR_TIMEOUT = 0.8;

/** An alarm for everything that needs a person: what is lost, what waits, what lags. */
export class StreamAlarms extends Construct {
  /** The alarms that are not turned off. */
  readonly alarms: Alarm[];

  constructor(scope: Construct, id: string, props: StreamAlarmsProps) {
    super(scope, id);
    const { processor } = props;
    const watches = [
      ...lettersOf(processor, props),
      ...discardsOf(processor, props),
      ...this.pollsOf(processor, props),
      ...this.functionOf(processor, props),
      ...crateOf(processor, props),
      ...idempotencyOf(processor, props),
    ];
    this.alarms = createAlarms(this, watches, props);
  }

  /** A mapping that polls emits a metric at each poll, of an empty stream too; one that does not poll emits none. */
  private pollsOf({ mapping, metrics }: StreamProcessor, options: StreamAlarmOptions): Watch[] {
    const { defaultChild } = mapping.node;
    if (defaultChild instanceof CfnEventSourceMapping && defaultChild.enabled === false) {
      return [];
    }
    return [
      {
        id: 'MappingStopped',
        metric: metrics.polls(),
        threshold: 1,
        whenBelow: true,
        evaluationPeriods: 3,
        description: 'The event source mapping has not polled the stream for 15 minutes. Records are lost 24 hours after they were written.',
        options: options.mappingStopped,
      },
    ];
  }

  private functionOf(processor: StreamProcessor, options: StreamAlarmOptions): Watch[] {
    const { function: fn, timeout } = processor;
    const iteratorAge: Watch = {
      id: 'IteratorAge',
      metric: unqualified(fn).metric('IteratorAge', { period: MINUTE, statistic: Stats.MAXIMUM }),
      threshold: Duration.minutes(5).toMilliseconds(),
      description: 'The function lags the stream. Nothing is lost until records become too old.',
      options: options.iteratorAge,
    };
    const nearTimeout: Watch = {
      id: 'DurationNearTimeout',
      metric: fn.metricDuration({ period: MINUTE, statistic: Stats.MAXIMUM }),
      threshold: timeout.toMilliseconds() * NEAR_TIMEOUT,
      description: 'Invocations come close to the timeout. Use smaller batches, more concurrency or a longer timeout.',
      options: options.durationNearTimeout,
    };
    this.checkIteratorAge(iteratorAge, processor.settings.giveUpAfter!);
    this.checkDuration(nearTimeout, timeout);
    return [...failuresOf(processor, options), iteratorAge, nearTimeout];
  }

  private checkIteratorAge(watch: Watch, giveUpAfter: Duration): void {
    const age = thresholdOf(watch);
    check(
      this,
      age < giveUpAfter.toMilliseconds(),
      `the iteratorAge alarm (${age} ms) would go off after the function has given up (${giveUpAfter.toHumanString()}); write a lower threshold`,
    );
  }

  private checkDuration(watch: Watch, timeout: Duration): void {
    const threshold = thresholdOf(watch);
    check(
      this,
      threshold <= timeout.toMilliseconds(),
      `the durationNearTimeout alarm (${threshold} ms) is above the function's timeout (${timeout.toHumanString()}), so it could ` +
        'never go off; write a lower threshold',
    );
  }
}

/** What waits for a person, or for the redrive. */
function lettersOf({ deadLetterQueue, failedInvocations, redrive }: StreamProcessor, options: StreamAlarmOptions): Watch[] {
  const atMost = { period: MINUTE, statistic: Stats.MAXIMUM };
  const watches: Watch[] = [
    {
      id: 'DeadLettersWaiting',
      metric: deadLetterQueue.metricApproximateNumberOfMessagesVisible(atMost),
      threshold: 1,
      description: 'Records failed for good and wait in the dead-letter queue. Read them, fix the cause, put them back.',
      options: options.deadLettersWaiting,
    },
    {
      id: 'DeadLettersExpiring',
      metric: deadLetterQueue.metricApproximateAgeOfOldestMessage(atMost),
      threshold: Math.floor(retentionOf(deadLetterQueue).toSeconds() * EXPIRING),
      description: 'The oldest dead letter is about to expire, and SQS will delete it. Put it back, or save it elsewhere.',
      options: options.deadLettersExpiring,
    },
  ];
  if (failedInvocations) {
    watches.push({
      id: 'FailedInvocationsWaiting',
      metric: failedInvocations.metricApproximateNumberOfMessagesVisible(atMost),
      threshold: 1,
      description: 'An asynchronous invocation failed for good. The message says which and why.',
      options: options.failedInvocationsWaiting,
    });
  }
  if (redrive) {
    watches.push({
      id: 'RedriveStuck',
      metric: redrive.queue.metricApproximateAgeOfOldestMessage(atMost),
      threshold: Duration.hours(1).toSeconds(),
      description: 'Dead letters stay in the redrive queue. Check that its event source mapping is enabled and that the function succeeds.',
      options: options.redriveStuck,
    });
  }
  return watches;
}

/** What the event source mapping gave up on. */
function discardsOf({ metrics, function: fn }: StreamProcessor, options: StreamAlarmOptions): Watch[] {
  return [
    {
      id: 'BatchesDiscarded',
      metric: metrics.discarded(),
      threshold: 1,
      description: 'The event source mapping gave up on records. They are at its on-failure destination.',
      options: options.batchesDiscarded,
    },
    {
      id: 'RecordsDropped',
      metric: metrics.dropped(),
      threshold: 1,
      description: 'The event source mapping dropped records, and no on-failure destination has them. The stream keeps them for 24 hours.',
      options: options.recordsDropped,
    },
    {
      id: 'DestinationDeliveryFailures',
      // Counted for the function, whichever alias or version was invoked.
      metric: unqualified(fn).metric('DestinationDeliveryFailures', { period: MINUTE, statistic: Stats.SUM }),
      threshold: 1,
      description: 'Lambda could not write to an on-failure destination, so the records that it gave up on are lost. Check its policy and key.',
      options: options.destinationDeliveryFailures,
    },
  ];
}

function failuresOf({ function: fn }: StreamProcessor, options: StreamAlarmOptions): Watch[] {
  return [
    {
      id: 'FunctionErrors',
      metric: fn.metricErrors({ period: MINUTE }),
      threshold: 1,
      description: 'An invocation failed as a whole: by a crash, a timeout, or an event that the function does not read.',
      options: options.functionErrors,
    },
    {
      id: 'FunctionThrottles',
      metric: fn.metricThrottles({ period: MINUTE }),
      threshold: 1,
      evaluationPeriods: 5,
      description: 'The function has been out of concurrency for five minutes, and the stream waits.',
      options: options.functionThrottles,
    },
  ];
}

/** What the crate counts by itself. */
function crateOf({ metrics }: StreamProcessor, options: StreamAlarmOptions): Watch[] {
  return [
    {
      id: 'DeadLetterSendFailures',
      metric: metrics.own('DeadLetterSendFailures'),
      threshold: 1,
      description: 'The dead-letter queue did not take records. They are reported and redelivered. Check its policy and key.',
      options: options.deadLetterSendFailures,
    },
    {
      id: 'DeadlineStops',
      metric: metrics.own('DeadlineStops'),
      threshold: 1,
      evaluationPeriods: 3,
      description: 'Batches have not finished in one invocation for three minutes. They continue in the next one, but late.',
      options: options.deadlineStops,
    },
  ];
}

/** What the crate counts of its store. A request that the table throttles or fails is counted as a failed call. */
function idempotencyOf({ metrics, idempotencyTable }: StreamProcessor, options: StreamAlarmOptions): Watch[] {
  if (!idempotencyTable) {
    return [];
  }
  return [
    {
      id: 'MarkFailures',
      metric: metrics.own('MarkFailures').with({ period: Duration.minutes(5) }),
      threshold: 1,
      evaluationPeriods: 3,
      description: 'Calls of the idempotency table have failed for 15 minutes. No record is lost, but records may be processed twice.',
      options: options.markFailures,
    },
    {
      id: 'MarkRegressions',
      metric: metrics.own('MarkRegressions'),
      threshold: 1,
      description: "A record has a sequence number below its item's high-water mark although it is newer. It was processed.",
      options: options.markRegressions,
    },
  ];
}

/** How long a queue keeps a message; what is not known here is taken for the least that SQS gives without being asked. */
function retentionOf(queue: IQueue): Duration {
  const { defaultChild } = queue.node;
  const seconds = defaultChild instanceof CfnQueue ? defaultChild.messageRetentionPeriod : undefined;
  return seconds === undefined || Token.isUnresolved(seconds) ? SQS_RETENTION : Duration.seconds(seconds);
}

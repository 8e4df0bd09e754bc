import { Duration } from 'aws-cdk-lib';
import { Construct } from 'constructs';
import { check, checkDuration, checkRange } from './checks';

/** The levels that the function can log at. */
export enum LogLevel {
  TRACE = 'trace',
  DEBUG = 'debug',
  INFO = 'info',
  WARN = 'warn',
  ERROR = 'error',
}

/** What the function is told through its environment, read once at its start. */
export interface ProcessorSettings {
  /**
   * The least severe level that is logged.
   *
   * @default LogLevel.INFO
   */
  readonly logLevel?: LogLevel;

  /**
   * How many handlers run at once in one invocation, 1 to 10,000.
   *
   * @default 10
   */
  readonly concurrency?: number;

  /**
   * How often a record is tried within one invocation, 1 to 100.
   *
   * @default 3
   */
  readonly maxAttempts?: number;

  /**
   * The longest wait before the second attempt, up to a minute; it doubles with each further one. Waits are random, from none on.
   *
   * @default Duration.millis(100)
   */
  readonly retryBase?: Duration;

  /**
   * What no wait exceeds, up to ten minutes.
   *
   * @default Duration.seconds(2)
   */
  readonly retryMax?: Duration;

  /**
   * How long an attempt at a record may take. A handler that hangs has failed by then, and its record becomes a dead letter in
   * the end; so it must be less than what an invocation has.
   *
   * @default - a quarter of the function's timeout: 15 seconds of 60
   */
  readonly handlerTimeout?: Duration;

  /**
   * The age at which a record that still fails becomes a dead letter; less than the mapping's `maxRecordAge`.
   *
   * @default Duration.hours(6)
   */
  readonly giveUpAfter?: Duration;
}

/** The mapping reports partial batch responses, and the function is told that it does: one fact, stated in both places. */
export const REPORT_BATCH_ITEM_FAILURES = true;

/** The settings of a function with that timeout, with their defaults, checked. */
export function resolveSettings(
  scope: Construct,
  timeout: Duration,
  settings: ProcessorSettings = {},
): Required<ProcessorSettings> {
  const resolved = {
    logLevel: settings.logLevel ?? LogLevel.INFO,
    concurrency: settings.concurrency ?? 10,
    maxAttempts: settings.maxAttempts ?? 3,
    retryBase: settings.retryBase ?? Duration.millis(100),
    retryMax: settings.retryMax ?? Duration.seconds(2),
    handlerTimeout: settings.handlerTimeout ?? Duration.millis(Math.ceil(timeout.toMilliseconds() / 4)),
    giveUpAfter: settings.giveUpAfter ?? Duration.hours(6),
  };
  checkRange(scope, 'concurrency', resolved.concurrency, 1, 10_000);
  checkRange(scope, 'maxAttempts', resolved.maxAttempts, 1, 100);
  checkDuration(scope, 'retryBase', resolved.retryBase, Duration.millis(0), Duration.minutes(1));
  checkDuration(scope, 'retryMax', resolved.retryMax, Duration.millis(0), Duration.minutes(10));
  checkDuration(scope, 'handlerTimeout', resolved.handlerTimeout, Duration.millis(1), Duration.minutes(15));
  checkDuration(scope, 'giveUpAfter', resolved.giveUpAfter, Duration.seconds(1), Duration.days(1));
  check(
    scope,
    resolved.retryBase.toMilliseconds() <= resolved.retryMax.toMilliseconds(),
    `retryBase (${resolved.retryBase.toHumanString()}) is longer than retryMax (${resolved.retryMax.toHumanString()}); ` +
      'write the shorter wait as retryBase',
  );
  const stop = stopsAfter(timeout);
  check(
    scope,
    resolved.handlerTimeout.toMilliseconds() < stop.toMilliseconds(),
    `handlerTimeout (${resolved.handlerTimeout.toHumanString()}) is not below the ${stop.toHumanString()} after which an invocation ` +
      'stops: a record whose handler hangs would never become a dead letter; write less, or give the function more time',
  );
  return resolved;
}

/** When an invocation stops, a tenth of its time before the timeout, at least 250 ms and at most 10 s. */
function stopsAfter(timeout: Duration): Duration {
  const all = timeout.toMilliseconds();
  return Duration.millis(all - Math.min(Math.max(Math.ceil(all / 10), 250), 10_000));
}

/** Where the function sends and what it calls itself. */
export interface ProcessorIdentity {
  /** The dead-letter queue's URL. */
  readonly queueUrl: string;
  /** The table whose changes the function processes. */
  readonly tableName: string;
  /** The CloudWatch namespace of the function's own metrics. */
  readonly metricsNamespace: string;
  /** The value of the metrics' `service` dimension. */
  readonly serviceName: string;
}

/** The environment of a function that is built with `lambda-streams`. */
export function processorEnvironment(
  settings: Required<ProcessorSettings>,
  identity: ProcessorIdentity,
): Record<string, string> {
  return {
    DLQ_URL: identity.queueUrl,
    TABLE_NAME: identity.tableName,
    LOG_LEVEL: settings.logLevel,
    CONCURRENCY: String(settings.concurrency),
    MAX_ATTEMPTS: String(settings.maxAttempts),
    RETRY_BASE_MS: String(settings.retryBase.toMilliseconds()),
    RETRY_MAX_MS: String(settings.retryMax.toMilliseconds()),
    HANDLER_TIMEOUT_MS: String(settings.handlerTimeout.toMilliseconds()),
    GIVE_UP_AFTER_SECONDS: String(settings.giveUpAfter.toSeconds()),
    REPORT_BATCH_ITEM_FAILURES: String(REPORT_BATCH_ITEM_FAILURES),
    POWERTOOLS_METRICS_NAMESPACE: identity.metricsNamespace,
    POWERTOOLS_SERVICE_NAME: identity.serviceName,
  };
}

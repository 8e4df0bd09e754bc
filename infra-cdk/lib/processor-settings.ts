import { Duration, Token } from 'aws-cdk-lib';
import { Construct } from 'constructs';
import { check, checkDuration, checkKnown, checkRange } from './checks';
import { Idempotency } from './idempotency';

/** The levels that the function can log at. */
export enum LogLevel {
  TRACE = 'trace',
  DEBUG = 'debug',
  INFO = 'info',
  WARN = 'warn',
  ERROR = 'error',
}

/**
 * The settings that the function reads from its environment.
 *
 * The crate's `StreamProcessor::builder_from_env()` reads them when the function starts. `src/docs/environment.md` lists
 * the variables. What the code sets on the builder overrides them.
 */
export interface ProcessorSettings {
  /**
   * The least severe level that is logged.
   *
   * @default LogLevel.INFO
   */
  readonly logLevel?: LogLevel;

  /**
   * The most concurrent handlers in one invocation, 1 to 10,000.
   *
   * @default 10
   */
  readonly concurrency?: number;

  /**
   * Attempts at a record within one invocation, the first included, 1 to 100.
   *
   * @default 3
   */
  readonly maxAttempts?: number;

  /**
   * The longest delay before the second attempt, 0 to 1 minute. It doubles with each further attempt. Delays are random,
   * between 0 and this limit.
   *
   * @default Duration.millis(100)
   */
  readonly retryBase?: Duration;

  /**
   * The limit of that delay, 0 to 10 minutes, and at least `retryBase`.
   *
   * @default Duration.seconds(2)
   */
  readonly retryMax?: Duration;

  /**
   * How long an attempt at a record may take, 1 ms to 90 minutes. An attempt that takes longer has failed, so the record
   * of a handler that hangs becomes a dead letter in the end. It must be shorter than the time that an invocation has
   * before it stops.
   *
   * @default - a quarter of the function's timeout, which is 15 of 60 seconds
   */
  readonly handlerTimeout?: Duration;

  /**
   * How long before the function's timeout an invocation stops and reports what is not done: 0 to 15 minutes, and less than the
   * timeout.
   *
   * @default - a tenth of the time that is left, at least 250 ms and at most 10 s
   */
  readonly deadlineMargin?: Duration;

  /**
   * The age at which a record that still fails becomes a dead letter: 1 second to 1 day, and less than the mapping's
   * `maxRecordAge`.
   *
   * @default Duration.hours(6)
   */
  readonly giveUpAfter?: Duration;
}

/** `ProcessorSettings` with the defaults filled in. */
export interface ResolvedSettings {
  /** The least severe level that is logged. */
  readonly logLevel: LogLevel;
  /** The most concurrent handlers in one invocation. */
  readonly concurrency: number;
  /** Attempts at a record within one invocation. */
  readonly maxAttempts: number;
  /** The longest delay before the second attempt. */
  readonly retryBase: Duration;
  /** The limit of that delay. */
  readonly retryMax: Duration;
  /** How long an attempt at a record may take. */
  readonly handlerTimeout: Duration;
  /**
   * How long before the function's timeout an invocation stops.
   *
   * @default - the crate's: a tenth of the time that is left, at least 250 ms and at most 10 s
   */
  readonly deadlineMargin?: Duration;
  /** The age at which a record that still fails becomes a dead letter. */
  readonly giveUpAfter: Duration;
}

/** The mapping reports partial batch responses, and the function is told that it does: one fact, stated in both places. */
export const REPORT_BATCH_ITEM_FAILURES = true;

/** That of a function on Managed Instances. */
const LONGEST_TIMEOUT = Duration.minutes(90);
type DurationSetting = 'retryBase' | 'retryMax' | 'handlerTimeout' | 'deadlineMargin' | 'giveUpAfter';
/** The limits of the variables of `src/docs/environment.md`, and the unit that they are in. */
const LIMITS: Array<[DurationSetting, Duration, Duration, 'seconds' | 'milliseconds']> = [
  ['retryBase', Duration.millis(0), Duration.minutes(1), 'milliseconds'],
  ['retryMax', Duration.millis(0), Duration.minutes(10), 'milliseconds'],
  ['handlerTimeout', Duration.millis(1), LONGEST_TIMEOUT, 'milliseconds'],
  ['deadlineMargin', Duration.millis(0), Duration.minutes(15), 'milliseconds'],
  ['giveUpAfter', Duration.seconds(1), Duration.days(1), 'seconds'],
];

/** The settings of a function with that timeout, with their defaults, checked. */
export function resolveSettings(scope: Construct, timeout: Duration, settings: ProcessorSettings = {}): ResolvedSettings {
  checkKnown(scope, 'timeout', timeout);
  checkDuration(scope, 'timeout', timeout, Duration.seconds(1), LONGEST_TIMEOUT);
  const resolved = {
    logLevel: settings.logLevel ?? LogLevel.INFO,
    concurrency: settings.concurrency ?? 10,
    maxAttempts: settings.maxAttempts ?? 3,
    retryBase: settings.retryBase ?? Duration.millis(100),
    retryMax: settings.retryMax ?? Duration.seconds(2),
    handlerTimeout: settings.handlerTimeout ?? Duration.millis(Math.ceil(timeout.toMilliseconds() / 4)),
    deadlineMargin: settings.deadlineMargin,
    giveUpAfter: settings.giveUpAfter ?? Duration.hours(6),
  };
  checkRange(scope, 'concurrency', resolved.concurrency, 1, 10_000);
  checkRange(scope, 'maxAttempts', resolved.maxAttempts, 1, 100);
  for (const [name, min, max, unit] of LIMITS) {
    checkKnown(scope, name, resolved[name]);
    checkDuration(scope, name, resolved[name], min, max, unit);
  }
  check(
    scope,
    resolved.retryBase.toMilliseconds() <= resolved.retryMax.toMilliseconds(),
    `retryBase (${resolved.retryBase.toHumanString()}) is longer than retryMax (${resolved.retryMax.toHumanString()}); ` +
      'write the shorter delay as retryBase',
  );
  checkTimes(scope, timeout, resolved);
  return resolved;
}

function checkTimes(scope: Construct, timeout: Duration, { handlerTimeout, deadlineMargin }: ResolvedSettings): void {
  check(
    scope,
    deadlineMargin === undefined || deadlineMargin.toMilliseconds() < timeout.toMilliseconds(),
    `deadlineMargin (${deadlineMargin?.toHumanString()}) is not below the function's timeout (${timeout.toHumanString()}): every ` +
      'invocation would stop before its first record; write less, or give the function more time',
  );
  const stop = stopsAfter(timeout, deadlineMargin);
  check(
    scope,
    handlerTimeout.toMilliseconds() < stop.toMilliseconds(),
    `handlerTimeout (${handlerTimeout.toHumanString()}) is not below the ${stop.toHumanString()} after which an invocation ` +
      `of a function with a timeout of ${timeout.toHumanString()} stops: a record whose handler hangs would never become a dead letter; ` +
      'write less, or give the function more time',
  );
}

/** When an invocation stops: `margin` before the timeout, by default a tenth of it, at least 250 ms and at most 10 s. */
function stopsAfter(timeout: Duration, margin?: Duration): Duration {
  const all = timeout.toMilliseconds();
  return Duration.millis(all - (margin?.toMilliseconds() ?? Math.min(Math.max(Math.ceil(all / 10), 250), 10_000)));
}

/** Where the function sends and what it calls itself. */
export interface ProcessorIdentity {
  /** The dead-letter queue's URL. */
  readonly queueUrl: string;
  /** The CloudWatch namespace of the function's own metrics. */
  readonly metricsNamespace: string;
  /** The value of the metrics' `service` dimension. */
  readonly serviceName: string;
  /**
   * Where the function keeps what is done.
   *
   * @default - nowhere
   */
  readonly idempotency?: Idempotency;
}

/** Throws unless CloudWatch takes the names; the function would refuse to start with others. */
export function checkMetricNames(scope: Construct, metricsNamespace: string, serviceName: string): void {
  check(
    scope,
    Token.isUnresolved(metricsNamespace) || isNamespace(metricsNamespace),
    `metricsNamespace is "${metricsNamespace}"; write 1 to 255 characters that do not begin with AWS/ or a colon, ` +
      'which CloudWatch keeps for AWS: letters, digits, spaces and .-_/#:',
  );
  const { length } = serviceName;
  check(scope, length >= 1 && length <= 255, `serviceName has ${length} characters; write 1 to 255, as the CDK takes them in a dimension of an alarm`);
  check(
    scope,
    Token.isUnresolved(serviceName) || (/^[ -~]*$/.test(serviceName) && serviceName.trim() !== ''),
    `serviceName is "${serviceName}"; write ASCII characters, as CloudWatch takes no others in a dimension, and not only spaces`,
  );
}

function isNamespace(text: string): boolean {
  return /^(?!:|AWS\/)[\w.\-/#: ]{1,255}$/.test(text) && text.trim() !== '';
}

/** Throws where the user's own variables have a name that is written here, or that the function would take for a misspelled one. */
export function checkOwnVariables(scope: Construct, own: Record<string, string> = {}, written: Record<string, string>): void {
  const names = Object.keys(own).filter((name) => name in written || name.startsWith('LAMBDA_STREAMS_'));
  check(
    scope,
    names.length === 0,
    `environment has ${names.join(', ')}, but DLQ_URL, POWERTOOLS_METRICS_NAMESPACE, POWERTOOLS_SERVICE_NAME and all LAMBDA_STREAMS_ ` +
      'variables are written by the construct; leave them out, and write deadLetterQueue, metricsNamespace, serviceName, idempotency or settings ' +
      'instead',
  );
}

/** The environment of a function that is built with `lambda-streams`: the variables of `src/docs/environment.md`. */
export function processorEnvironment(settings: ResolvedSettings, identity: ProcessorIdentity): Record<string, string> {
  const { deadlineMargin } = settings;
  const { idempotency } = identity;
  return {
    DLQ_URL: identity.queueUrl,
    LAMBDA_STREAMS_LOG_LEVEL: settings.logLevel,
    LAMBDA_STREAMS_CONCURRENCY: String(settings.concurrency),
    LAMBDA_STREAMS_MAX_ATTEMPTS: String(settings.maxAttempts),
    LAMBDA_STREAMS_RETRY_BASE_MS: String(settings.retryBase.toMilliseconds()),
    LAMBDA_STREAMS_RETRY_MAX_MS: String(settings.retryMax.toMilliseconds()),
    LAMBDA_STREAMS_HANDLER_TIMEOUT_MS: String(settings.handlerTimeout.toMilliseconds()),
    ...(deadlineMargin && { LAMBDA_STREAMS_DEADLINE_MARGIN_MS: String(deadlineMargin.toMilliseconds()) }),
    LAMBDA_STREAMS_GIVE_UP_AFTER_SECONDS: String(settings.giveUpAfter.toSeconds()),
    LAMBDA_STREAMS_REPORT_BATCH_ITEM_FAILURES: String(REPORT_BATCH_ITEM_FAILURES),
    ...(idempotency && {
      LAMBDA_STREAMS_IDEMPOTENCY_TABLE: idempotency.table.tableName,
      LAMBDA_STREAMS_CONSUMER: idempotency.consumer,
    }),
    POWERTOOLS_METRICS_NAMESPACE: identity.metricsNamespace,
    POWERTOOLS_SERVICE_NAME: identity.serviceName,
  };
}

import { Duration, RemovalPolicy } from 'aws-cdk-lib';
import { ITable } from 'aws-cdk-lib/aws-dynamodb';
import { IKey } from 'aws-cdk-lib/aws-kms';
import { IFunction } from 'aws-cdk-lib/aws-lambda';
import { IQueue } from 'aws-cdk-lib/aws-sqs';
import { FailureDestination } from './failure-destination';
import { IdempotencyOptions } from './idempotency';
import { ProcessorCode } from './processor-code';
import { ProcessorFunctionOptions } from './processor-function-options';
import { ProcessorSettings } from './processor-settings';
import { StreamAlarmOptions } from './stream-alarms';
import { StreamMappingOptions } from './stream-mapping';

/** Properties of `StreamProcessor`. */
export interface StreamProcessorProps {
  /**
   * The table whose changes are processed: `Table`, `TableV2` or an imported one, of this region and with a stream.
   *
   * An imported one needs its `tableStreamArn`, and its `encryptionKey` where a customer-managed key encrypts it.
   */
  readonly table: ITable;

  /**
   * The function's code; the construct makes a function of it. Either this or `handler`.
   *
   * @default - `handler` is given
   */
  readonly code?: ProcessorCode;

  /**
   * A function or alias that exists already; the construct adds statements to its role and, where it is a function of this
   * app, variables to its environment. Either this or `code`.
   *
   * It serves this processor alone. A function of another stack needs a `deadLetterQueue`, and a table of `idempotency`, that are not
   * made in this stack. An imported function needs its role, `timeout`, and the variables of `environmentFor` where it is made.
   *
   * @default - `code` is given
   */
  readonly handler?: IFunction;

  /**
   * The timeout of `handler` where it is imported, since it cannot be known then.
   *
   * @default - that of the function of this app
   */
  readonly timeout?: Duration;

  /**
   * How the function runs; only with `code`.
   *
   * @default - arm64, 1024 MB, 60 s
   */
  readonly functionOptions?: ProcessorFunctionOptions;

  /**
   * What the function is told through its environment: concurrency, retries, timeouts, log level.
   *
   * @default - the crate's defaults, and a quarter of the function's timeout for an attempt
   */
  readonly settings?: ProcessorSettings;

  /**
   * How Lambda reads the stream.
   *
   * @default - 100 records or 5 s, 10 batches a shard at once, records up to 12 h old
   */
  readonly mapping?: StreamMappingOptions;

  /**
   * Receives the records that failed for good, whole.
   *
   * @default - a new queue: 14 days, encrypted with `encryptionKey`, TLS only
   */
  readonly deadLetterQueue?: IQueue;

  /**
   * Receives the batches that the event source mapping discards.
   *
   * @default - a new bucket, so that the records themselves are kept
   */
  readonly onFailure?: FailureDestination;

  /**
   * Makes a queue through which dead letters are put back into the function, a few at a time, when a person says so.
   *
   * @default false
   */
  readonly redrive?: boolean;

  /**
   * Keeps in a table what is done, so that it is skipped when it is redelivered, to any execution environment; `true` makes the table.
   *
   * All functions of the processor are told the table and the consumer's name, and may use the consumer's rows. They must be built with the
   * crate's feature `dynamodb`. High-water marks of items, which cost more, are turned on in the code.
   *
   * @default false
   */
  readonly idempotency?: IdempotencyOptions | boolean;

  /**
   * Encrypts what the construct makes. The policy of a key of this app gets the statement that CloudWatch Logs needs; an
   * imported key must have it, as a warning says at synth.
   *
   * @default - a new key that rotates every year
   */
  readonly encryptionKey?: IKey;

  /**
   * The CloudWatch namespace of the function's own metrics, 1 to 255 characters, not beginning with `AWS/`.
   *
   * @default 'LambdaStreams'
   */
  readonly metricsNamespace?: string;

  /**
   * The value of the `service` dimension of these metrics, 1 to 255 characters; also the consumer's name, unless `idempotency` has another.
   *
   * @default - a name made of the construct's path, different for each stack
   */
  readonly serviceName?: string;

  /**
   * When alarms go off, and what they do; `false` makes none.
   *
   * @default - all alarms, without an action
   */
  readonly alarms?: StreamAlarmOptions | false;

  /**
   * What happens to queues, bucket, idempotency table, key and logs when the stack is deleted.
   *
   * @default RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE, which leaves nothing behind where the first deployment fails
   */
  readonly removalPolicy?: RemovalPolicy;
}

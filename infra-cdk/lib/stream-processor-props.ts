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
   * The table whose changes are processed: a `Table`, a `TableV2` or an imported table, in this region and with a stream.
   *
   * An imported table needs its `tableStreamArn`, and its `encryptionKey` if a customer-managed key encrypts it.
   */
  readonly table: ITable;

  /**
   * The function's code, of which the construct creates a function. Give either `code` or `handler`.
   *
   * @default - `handler` is given
   */
  readonly code?: ProcessorCode;

  /**
   * An existing function or alias. The construct adds statements to its role, and variables to the environment of a
   * function of this app. Give either `code` or `handler`.
   *
   * It serves only this processor. A function of another stack needs a `deadLetterQueue`, and a table for `idempotency`, that are
   * not created in this stack. An imported function needs its role, `timeout`, and the variables of `environmentFor`, which you set
   * where the function is created.
   *
   * @default - `code` is given
   */
  readonly handler?: IFunction;

  /**
   * The timeout of an imported `handler`, which the construct cannot read.
   *
   * @default - the timeout of `handler`, or of `functionOptions`
   */
  readonly timeout?: Duration;

  /**
   * How the function runs. Only with `code`.
   *
   * @default - arm64, 1024 MB, 60 s
   */
  readonly functionOptions?: ProcessorFunctionOptions;

  /**
   * The settings that the function reads from its environment: concurrency, retries, timeouts, log level.
   *
   * @default - the crate's defaults, and a quarter of the function's timeout for an attempt at a record
   */
  readonly settings?: ProcessorSettings;

  /**
   * How Lambda reads the stream.
   *
   * @default - batches of 100 records or 5 s, 10 batches of a shard at a time, records up to 12 h old
   */
  readonly mapping?: StreamMappingOptions;

  /**
   * The queue that receives the whole record when a record fails for good.
   *
   * @default - a new queue that keeps messages for 14 days, encrypted with `encryptionKey`, TLS only
   */
  readonly deadLetterQueue?: IQueue;

  /**
   * The destination for batches that the event source mapping discards.
   *
   * @default - a new bucket, which keeps the records themselves
   */
  readonly onFailure?: FailureDestination;

  /**
   * Whether to create a queue through which a person can put dead letters back into the function, a few at a time.
   *
   * @default false
   */
  readonly redrive?: boolean;

  /**
   * Whether to keep in a table which records are done, so any execution environment skips them when they are redelivered.
   * `true` creates the table.
   *
   * All functions of the processor get the names of the table and the consumer, and may use the consumer's rows. They must be built
   * with the crate's feature `dynamodb`. High-water marks of items, which cost more, are turned on in the code.
   *
   * @default false
   */
  readonly idempotency?: IdempotencyOptions | boolean;

  /**
   * The key that encrypts what the construct creates. The policy of a key of this app gets the statement that CloudWatch
   * Logs needs. An imported key must have it already: a warning at synth shows the statement.
   *
   * @default - a new key that rotates every year
   */
  readonly encryptionKey?: IKey;

  /**
   * The CloudWatch namespace of the function's own metrics: 1 to 255 characters that do not begin with `AWS/`.
   *
   * @default 'LambdaStreams'
   */
  readonly metricsNamespace?: string;

  /**
   * The value of the `service` dimension of these metrics: 1 to 255 characters. It is also the consumer's name, unless
   * `idempotency` has another.
   *
   * @default - a name made from the construct's path, different for each stack
   */
  readonly serviceName?: string;

  /**
   * When alarms go off, and what they do. `false` creates no alarms.
   *
   * @default - all alarms, without an action
   */
  readonly alarms?: StreamAlarmOptions | false;

  /**
   * What happens to the queues, the bucket, the idempotency table, the key and the logs when the stack is deleted.
   *
   * @default RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE, which keeps nothing if the first deployment fails
   */
  readonly removalPolicy?: RemovalPolicy;
}

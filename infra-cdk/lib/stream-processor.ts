import { Duration, Names, RemovalPolicy } from 'aws-cdk-lib';
import { ITable } from 'aws-cdk-lib/aws-dynamodb';
import { IKey } from 'aws-cdk-lib/aws-kms';
import { EventSourceMapping, Function, IFunction } from 'aws-cdk-lib/aws-lambda';
import { ILogGroup } from 'aws-cdk-lib/aws-logs';
import { IQueue } from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import { check } from './checks';
import { EncryptedQueue } from './encrypted-queue';
import { EncryptionKey } from './encryption-key';
import { DiscardedBatchesBucket, FailureDestination } from './failure-destination';
import { grantDeadLetters } from './grants';
import { ProcessorCode } from './processor-code';
import { ProcessorFunction, ProcessorFunctionOptions } from './processor-function';
import { ProcessorSettings, processorEnvironment, resolveSettings } from './processor-settings';
import { Redrive } from './redrive';
import { StreamAlarmOptions, StreamAlarms } from './stream-alarms';
import { StreamMapping, StreamMappingOptions } from './stream-mapping';
import { StreamMetrics } from './stream-metrics';

/**
 * By default glibc gives an invocation's memory back to the system, and has it zeroed for the next one. This keeps blocks of up to
 * 32 MiB, 128 MiB in all; `lambda_streams::run` does as much by itself, a function with a runtime of its own does not.
 */
const KEEP_MEMORY = 'glibc.malloc.mmap_threshold=33554432:glibc.malloc.trim_threshold=134217728';

/** Properties of `StreamProcessor`. */
export interface StreamProcessorProps {
  /** The table whose changes are processed: `Table`, `TableV2` or an imported one, with a stream. */
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
   * @default - `code` is given
   */
  readonly handler?: IFunction;

  /**
   * How the function runs; only with `code`.
   *
   * @default - arm64, 1024 MB, 60 s, 100 reserved
   */
  readonly functionOptions?: ProcessorFunctionOptions;

  /**
   * What the function is told: concurrency, retries, log level.
   *
   * @default - the crate's defaults
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
   * Encrypts what the construct makes. The policy of an imported key must let CloudWatch Logs use it.
   *
   * @default - a new key that rotates every year
   */
  readonly encryptionKey?: IKey;

  /**
   * The CloudWatch namespace of the function's own metrics.
   *
   * @default 'LambdaStreams'
   */
  readonly metricsNamespace?: string;

  /**
   * The value of the `service` dimension of these metrics.
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
   * What becomes of queues, bucket, key and logs when the stack is deleted.
   *
   * @default RemovalPolicy.RETAIN
   */
  readonly removalPolicy?: RemovalPolicy;
}

/**
 * A function that processes the changes of a table, with everything that it needs not to lose one.
 *
 * Failed work ends in three places, because it comes in three shapes: whole records in `deadLetterQueue` (from the function),
 * discarded batches at `onFailure` (from the event source mapping), failed asynchronous invocations in `failedInvocations`
 * (from Lambda).
 */
export class StreamProcessor extends Construct {
  /** The function that processes the changes. */
  readonly function: IFunction;
  /** The longest that one invocation takes. */
  readonly timeout: Duration;
  /** The function's log group; of a function of one's own, unknown. */
  readonly logGroup?: ILogGroup;
  /** Holds the records that failed for good. */
  readonly deadLetterQueue: IQueue;
  /** Holds what Lambda says of failed asynchronous invocations; not made for a function of one's own. */
  readonly failedInvocations?: IQueue;
  /** Where discarded batches go. */
  readonly onFailure: FailureDestination;
  /** The queue through which dead letters are put back, where asked for. */
  readonly redrive?: Redrive;
  /** The event source mapping. */
  readonly mapping: EventSourceMapping;
  /** The metrics of the function and its mapping. */
  readonly metrics: StreamMetrics;
  /** The alarms, unless turned off. */
  readonly alarms?: StreamAlarms;

  private readonly props: StreamProcessorProps;
  private readonly resolved: Required<ProcessorSettings>;
  private readonly metricsNamespace: string;
  private readonly serviceName: string;
  private ownKey?: IKey;

  constructor(scope: Construct, id: string, props: StreamProcessorProps) {
    super(scope, id);
    this.props = props;
    this.checkProps();
    this.metricsNamespace = props.metricsNamespace ?? 'LambdaStreams';
    this.serviceName = props.serviceName ?? Names.uniqueResourceName(this, { maxLength: 64, separator: '-' });
    this.timeout = this.findTimeout();
    this.resolved = resolveSettings(this, this.timeout, props.settings);
    this.deadLetterQueue = props.deadLetterQueue ?? this.createQueue('DeadLetters', props.redrive);
    this.onFailure = props.onFailure ?? this.createFailureDestination();
    if (props.handler) {
      this.function = this.adoptFunction(props.handler);
    } else {
      this.failedInvocations = this.createQueue('FailedInvocations');
      const created = this.createFunction(props.code!, this.failedInvocations);
      this.function = created.function;
      this.logGroup = created.logGroup;
    }
    grantDeadLetters(this.function, this.deadLetterQueue);
    this.mapping = this.createMapping();
    this.redrive = props.redrive ? this.createRedrive() : undefined;
    this.metrics = new StreamMetrics(this.metricsNamespace, this.serviceName, this.mapping);
    this.alarms = this.createAlarms();
  }

  /** What the function is told, defaults included: every setting has a value. */
  get settings(): ProcessorSettings {
    return this.resolved;
  }

  /** The key that encrypts what the construct makes. */
  get encryptionKey(): IKey {
    this.ownKey ??= this.props.encryptionKey ?? this.createKey();
    return this.ownKey;
  }

  /** The environment of a further function with the same settings, which counts as `serviceName`. */
  environmentFor(serviceName: string): Record<string, string> {
    return processorEnvironment(this.resolved, {
      queueUrl: this.deadLetterQueue.queueUrl,
      tableName: this.props.table.tableName,
      metricsNamespace: this.metricsNamespace,
      serviceName,
    });
  }

  private checkProps(): void {
    const { code, handler, functionOptions, deadLetterQueue, onFailure } = this.props;
    check(this, !code !== !handler, 'give either code, of which a function is made, or handler, a function that exists');
    check(
      this,
      !(handler && functionOptions),
      'functionOptions has no effect on handler, a function that exists; set them where that function is made',
    );
    check(
      this,
      handler === undefined || handler.role !== undefined,
      'the role of handler is unknown, so that nothing can be granted to it; import it with Function.fromFunctionAttributes and its role',
    );
    check(
      this,
      deadLetterQueue === undefined || deadLetterQueue.queueArn !== onFailure?.arn,
      'deadLetterQueue and onFailure are the same queue; their messages are of different shapes, so give each one its own',
    );
    check(
      this,
      !deadLetterQueue?.fifo || !this.props.redrive,
      'redrive is made for standard queues; leave it out where deadLetterQueue is FIFO',
    );
  }

  private findTimeout(): Duration {
    const { handler, functionOptions } = this.props;
    if (handler instanceof Function) {
      return handler.timeout ?? Duration.seconds(3);
    }
    return functionOptions?.timeout ?? (handler ? Duration.minutes(15) : Duration.seconds(60));
  }

  private createKey(): IKey {
    const key = new EncryptionKey(this, 'Key', {
      description: `What ${this.node.path} keeps: dead letters, discarded batches, logs`,
      removalPolicy: this.props.removalPolicy,
    });
    key.allowLogs();
    return key;
  }

  private createQueue(id: string, endsAnotherQueue?: boolean): EncryptedQueue {
    return new EncryptedQueue(this, id, {
      encryptionKey: this.encryptionKey,
      functionTimeout: this.timeout,
      endsAnotherQueue,
      removalPolicy: this.props.removalPolicy,
    });
  }

  private createFailureDestination(): FailureDestination {
    const bucket = new DiscardedBatchesBucket(this, 'DiscardedBatches', {
      encryptionKey: this.encryptionKey,
      removalPolicy: this.props.removalPolicy,
    });
    return FailureDestination.bucket(bucket);
  }

  private createFunction(code: ProcessorCode, failedInvocations: IQueue): ProcessorFunction {
    return new ProcessorFunction(this, 'Function', {
      description: 'Processes the changes of a DynamoDB table',
      ...this.props.functionOptions,
      code,
      failedInvocations,
      encryptionKey: this.encryptionKey,
      logLevel: this.resolved.logLevel,
      environment: {
        GLIBC_TUNABLES: KEEP_MEMORY,
        ...this.props.functionOptions?.environment,
        ...this.environmentFor(this.serviceName),
      },
      removalPolicy: this.props.removalPolicy,
    });
  }

  private adoptFunction(handler: IFunction): IFunction {
    if (handler instanceof Function) {
      for (const [name, value] of Object.entries(this.environmentFor(this.serviceName))) {
        handler.addEnvironment(name, value);
      }
    }
    return handler;
  }

  private createMapping(): EventSourceMapping {
    return new StreamMapping(this, 'Mapping', {
      ...this.props.mapping,
      table: this.props.table,
      target: this.function,
      onFailure: this.onFailure,
      giveUpAfter: this.resolved.giveUpAfter,
    }).mapping;
  }

  private createRedrive(): Redrive {
    return new Redrive(this, 'Redrive', {
      deadLetterQueue: this.deadLetterQueue,
      target: this.function,
      functionTimeout: this.timeout,
      encryptionKey: this.encryptionKey,
      removalPolicy: this.props.removalPolicy,
    });
  }

  private createAlarms(): StreamAlarms | undefined {
    const { alarms } = this.props;
    return alarms === false ? undefined : new StreamAlarms(this, 'Alarms', { ...alarms, processor: this });
  }
}

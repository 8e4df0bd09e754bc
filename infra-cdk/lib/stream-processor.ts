import { Annotations, Duration, Names, Stack } from 'aws-cdk-lib';
import { ITable } from 'aws-cdk-lib/aws-dynamodb';
import { IGrantable } from 'aws-cdk-lib/aws-iam';
import { IKey } from 'aws-cdk-lib/aws-kms';
import { EventSourceMapping, Function, IFunction } from 'aws-cdk-lib/aws-lambda';
import { ILogGroup } from 'aws-cdk-lib/aws-logs';
import { IQueue } from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import { check, checkPlace } from './checks';
import { CodeBoundary, LambdaOnly } from './code-boundary';
import { EncryptedQueue } from './encrypted-queue';
import { EncryptionKey } from './encryption-key';
import { BackingFunction, ExistingFunction, claim } from './existing-function';
import { DiscardedBatchesBucket, FailureDestination } from './failure-destination';
import { READ_STREAM, TAKE_MESSAGES, grantDeadLetters, grantIdempotency } from './grants';
import { Idempotency, createIdempotency } from './idempotency';
import { ProcessorCode } from './processor-code';
import { ProcessorFunction } from './processor-function';
import { ProcessorFunctionOptions } from './processor-function-options';
import { ResolvedSettings, checkMetricNames, checkOwnVariables, processorEnvironment, resolveSettings } from './processor-settings';
import { Redrive } from './redrive';
import { StreamAlarms } from './stream-alarms';
import { StreamMapping } from './stream-mapping';
import { StreamMetrics } from './stream-metrics';
import { StreamProcessorProps } from './stream-processor-props';
import { identityOf, take, takenBy } from './taken';

/**
 * By default glibc gives an invocation's memory back to the system, and has it zeroed for the next one. This keeps blocks of up to
 * 32 MiB, 128 MiB in all; `lambda_streams::run` does as much by itself, a function with a runtime of its own does not.
 */
const KEEP_MEMORY = 'glibc.malloc.mmap_threshold=33554432:glibc.malloc.trim_threshold=134217728';

/**
 * A function that processes the changes of a table, with everything that it needs so as not to lose one.
 *
 * Failed work ends in three places, because it has three forms: whole records in `deadLetterQueue` (from the function),
 * discarded batches at `onFailure` (from the event source mapping), and failed asynchronous invocations in
 * `failedInvocations` (from Lambda).
 */
export class StreamProcessor extends Construct {
  /** The function that processes the changes, or the alias through which it is invoked. */
  readonly function: IFunction;
  /** The function that was created from `code`, for example to add layers to it. */
  readonly createdFunction?: Function;
  /** The timeout of one invocation. */
  readonly timeout: Duration;
  /** The function's log group; unknown for `handler`. */
  readonly logGroup?: ILogGroup;
  /** The queue of records that failed for good. */
  readonly deadLetterQueue: IQueue;
  /** The queue of Lambda's records of failed asynchronous invocations; not created for `handler`, or if the function's `onFailure` is given. */
  readonly failedInvocations?: IQueue;
  /** Where discarded batches go. */
  readonly onFailure: FailureDestination;
  /** The queue through which dead letters are put back, if `redrive` is on. */
  readonly redrive?: Redrive;
  /** The table that keeps which records are done, if `idempotency` is on. */
  readonly idempotencyTable?: ITable;
  /** The processor's name in this table, if there is one. */
  readonly consumer?: string;
  /** The event source mapping. */
  readonly mapping: EventSourceMapping;
  /** The metrics of the function and its mapping. */
  readonly metrics: StreamMetrics;
  /** The function's settings, defaults included. */
  readonly settings: ResolvedSettings;
  /** The alarms, unless turned off. */
  readonly alarms?: StreamAlarms;

  private readonly props: StreamProcessorProps;
  private readonly metricsNamespace: string;
  private readonly serviceName: string;
  private readonly idempotency?: Idempotency;
  private readonly backing: BackingFunction;
  private ownKey?: IKey;

  constructor(scope: Construct, id: string, props: StreamProcessorProps) {
    super(scope, id);
    this.props = props;
    this.checkProps();
    this.metricsNamespace = props.metricsNamespace ?? 'LambdaStreams';
    this.serviceName = props.serviceName ?? Names.uniqueResourceName(this, { maxLength: 64, separator: '-' });
    checkMetricNames(this, this.metricsNamespace, this.serviceName);
    this.warnOfNamesake();
    const existing = props.handler && new ExistingFunction(this, props.handler, props.timeout);
    this.timeout = existing?.timeout ?? props.functionOptions?.timeout ?? Duration.seconds(60);
    this.settings = resolveSettings(this, this.timeout, props.settings);
    this.deadLetterQueue = props.deadLetterQueue ?? this.createQueue('DeadLetters', props.redrive);
    this.warnOfSharedRedrive(this.deadLetterQueue);
    this.onFailure = props.onFailure ?? this.createFailureDestination();
    this.idempotency = createIdempotency(this, props.idempotency, {
      consumer: this.serviceName,
      source: props.table,
      encryptionKey: () => this.encryptionKey,
      removalPolicy: props.removalPolicy,
    });
    this.idempotencyTable = this.idempotency?.table;
    this.consumer = this.idempotency?.consumer;
    existing?.writeEnvironment(this.environmentFor(this.serviceName), this.deadLetterQueue, this.idempotencyTable);
    this.failedInvocations = existing || props.functionOptions?.onFailure ? undefined : this.createQueue('FailedInvocations');
    const created = existing ? undefined : this.createFunction(props.code!);
    this.createdFunction = created?.function;
    this.logGroup = created?.logGroup;
    this.backing = existing ?? ofCreated(created!);
    this.function = this.backing.target;
    claim(this, this.backing.unqualified);
    grantDeadLetters(this.backing.grantee, this.deadLetterQueue);
    this.grantIdempotency(this.backing.grantee);
    this.mapping = this.createMapping();
    this.redrive = props.redrive ? this.createRedrive() : undefined;
    this.keepFromTheCode();
    this.metrics = new StreamMetrics(this.metricsNamespace, this.serviceName, this.mapping);
    this.alarms = this.createAlarms();
  }

  /** The key that encrypts what the construct creates. */
  get encryptionKey(): IKey {
    this.ownKey ??= this.props.encryptionKey ?? this.createKey();
    return this.ownKey;
  }

  /**
   * The environment of a further function with the same settings, which counts as `serviceName`.
   *
   * If you give the `timeout` of that function, the default of `handlerTimeout` follows it, and settings that cannot work there are
   * refused. If the processor has `idempotency`, the function is the same consumer, and needs `grantIdempotency`.
   */
  environmentFor(serviceName: string, timeout?: Duration): { [name: string]: string } {
    const settings = timeout === undefined ? this.settings : resolveSettings(this, timeout, this.props.settings);
    return processorEnvironment(settings, {
      queueUrl: this.deadLetterQueue.queueUrl,
      metricsNamespace: this.metricsNamespace,
      serviceName,
      idempotency: this.idempotency,
    });
  }

  /** Lets a further function use the consumer's rows in the idempotency table. Does nothing without `idempotency`. */
  grantIdempotency(grantee: IGrantable): void {
    if (this.idempotency) {
      grantIdempotency(grantee, this.idempotency.table, this.idempotency.consumer);
    }
  }

  /**
   * Creates a second function of the same code and settings that is called on demand, as by `OnDemandApi`.
   *
   * Unless `options` say otherwise, it has the architecture, layers and environment of the first function, and a timeout
   * of 28 seconds, because API Gateway waits for 29. Its service name is `<serviceName>-on-demand`. With `idempotency` it
   * is the same consumer. It gets none of the stream's permissions. Its failed asynchronous invocations go to the same
   * place as those of the first function.
   */
  createOnDemandFunction(scope: Construct, id: string, options: ProcessorFunctionOptions = {}): ProcessorFunction {
    const { code, functionOptions = {}, removalPolicy } = this.props;
    check(this, code !== undefined, 'an on-demand function is created from code; write ProcessorFunction and environmentFor where handler is given');
    const timeout = options.timeout ?? Duration.seconds(28);
    const onFailure = options.onFailure ?? functionOptions.onFailure;
    const environment = { ...functionOptions.environment, ...options.environment };
    const created = new ProcessorFunction(scope, id, {
      description: 'Runs records through the processor on demand',
      architecture: functionOptions.architecture,
      layers: functionOptions.layers,
      ...options,
      code: code!,
      timeout,
      environment: this.withContract(`${this.serviceName}-on-demand`, { environment }, timeout),
      logLevel: this.settings.logLevel,
      encryptionKey: this.encryptionKey,
      onFailure,
      failedInvocations: onFailure ? undefined : this.failedInvocations,
      removalPolicy,
    });
    this.grantIdempotency(created.grantee);
    return created;
  }

  private checkProps(): void {
    const { code, handler, functionOptions, deadLetterQueue, onFailure, timeout } = this.props;
    check(this, !code !== !handler, 'give either code, of which a function is made, or handler, a function that exists');
    check(
      this,
      !(handler && functionOptions),
      'functionOptions has no effect on handler, a function that exists; set them where that function is made',
    );
    check(this, !code || !timeout, 'timeout is that of handler; write functionOptions: { timeout } for a function that is created from code');
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
    this.checkPlaces();
  }

  private checkPlaces(): void {
    const { deadLetterQueue: queue, encryptionKey: key } = this.props;
    const ofQueue = 'its alarms, and SQS where it moves letters, see the queues of one region and account only; write a queue of this one';
    if (queue) {
      checkPlace(this, 'region', 'deadLetterQueue', queue, ofQueue);
      checkPlace(this, 'account', 'deadLetterQueue', queue, ofQueue);
    }
    if (key) {
      checkPlace(this, 'region', 'encryptionKey', key, 'a key encrypts in its own region only; write a key of this one');
    }
  }

  private warnOfNamesake(): void {
    const { region, account } = Stack.of(this);
    const namesake = take(this, `service ${this.metricsNamespace} ${this.serviceName} ${region} ${account}`);
    if (namesake !== undefined) {
      Annotations.of(this).addWarningV2(
        'lambda-streams:ServiceName',
        `serviceName is "${this.serviceName}", as that of ${namesake}: their metrics are one, and alarms of both go off; write another, or acknowledge this warning`,
      );
    }
  }

  private warnOfSharedRedrive(queue: IQueue): void {
    const identity = identityOf(queue, queue.queueArn);
    const other = take(this, `letters ${identity}`);
    if (this.props.redrive) {
      take(this, `redrive ${identity}`);
    }
    if (other !== undefined && takenBy(this, `redrive ${identity}`) !== undefined) {
      Annotations.of(this).addWarningV2(
        'lambda-streams:SharedRedrive',
        `deadLetterQueue is that of ${other} too, and a redrive moves the letters of both into one function; give each its own queue, or ` +
          'acknowledge this warning where both have the same handlers',
      );
    }
  }

  private createKey(): IKey {
    return new EncryptionKey(this, 'Key', {
      description: `What ${this.node.path} keeps: dead letters, discarded batches, logs`,
      removalPolicy: this.props.removalPolicy,
    });
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

  /** The user's variables, and those of the contract, which no other may replace. */
  private withContract(serviceName: string, { environment }: ProcessorFunctionOptions, timeout?: Duration): { [name: string]: string } {
    const written = this.environmentFor(serviceName, timeout);
    checkOwnVariables(this, environment, written);
    return { ...environment, ...written };
  }

  private createFunction(code: ProcessorCode): ProcessorFunction {
    const { functionOptions = {} } = this.props;
    return new ProcessorFunction(this, 'Function', {
      description: 'Processes the changes of a DynamoDB table',
      ...functionOptions,
      code,
      failedInvocations: this.failedInvocations,
      encryptionKey: this.encryptionKey,
      logLevel: this.settings.logLevel,
      environment: { GLIBC_TUNABLES: KEEP_MEMORY, ...this.withContract(this.serviceName, functionOptions) },
      removalPolicy: this.props.removalPolicy,
    });
  }

  private createMapping(): EventSourceMapping {
    return new StreamMapping(this, 'Mapping', {
      ...this.props.mapping,
      table: this.props.table,
      target: this.function,
      grantee: this.backing.grantee,
      onFailure: this.onFailure,
      giveUpAfter: this.settings.giveUpAfter,
    }).mapping;
  }

  private createRedrive(): Redrive {
    return new Redrive(this, 'Redrive', {
      deadLetterQueue: this.deadLetterQueue,
      target: this.function,
      grantee: this.backing.grantee,
      functionTimeout: this.timeout,
      encryptionKey: this.encryptionKey,
      removalPolicy: this.props.removalPolicy,
    });
  }

  private keepFromTheCode(): void {
    const { role, unqualified } = this.backing;
    const kept: LambdaOnly[] = [
      { sid: 'KeepTheStreamFromTheCode', actions: READ_STREAM, resources: [this.props.table.tableStreamArn!] },
    ];
    if (this.redrive) {
      kept.push({ sid: 'KeepTheRedriveQueueFromTheCode', actions: TAKE_MESSAGES, resources: [this.redrive.queue.queueArn] });
    }
    new CodeBoundary(this, 'CodeBoundary', role, unqualified, kept);
  }

  private createAlarms(): StreamAlarms | undefined {
    const { alarms } = this.props;
    return alarms === false ? undefined : new StreamAlarms(this, 'Alarms', { ...alarms, processor: this });
  }
}

function ofCreated({ target, function: unqualified, role, grantee }: ProcessorFunction): BackingFunction {
  return { target, unqualified, role, grantee };
}

import { Duration, RemovalPolicy, Token } from 'aws-cdk-lib';
import { IGrantable, IRole, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { IKey } from 'aws-cdk-lib/aws-kms';
import {
  Alias,
  ApplicationLogLevel,
  Architecture,
  CfnFunction,
  EventInvokeConfig,
  Function,
  FunctionOptions,
  IFunction,
  LoggingFormat,
  SystemLogLevel,
  Tracing,
} from 'aws-cdk-lib/aws-lambda';
import { ILogGroup, LogGroup, RetentionDays } from 'aws-cdk-lib/aws-logs';
import { IQueue } from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import { check, checkDuration, checkPlace, checkRange } from './checks';
import { CodeBoundary } from './code-boundary';
import { checkStandardQueue } from './failure-destination';
import { acceptFinding } from './findings';
import { ATTACH_TO_VPC, acceptTracing, dependOn, grantDestinationQueue, grantLogs, grantNetwork, granteeOf } from './grants';
import { allowLogs } from './key-policies';
import { checkAlias, createAlias } from './processor-alias';
import { ProcessorCode } from './processor-code';
import { ManagedInstancesOptions, ProcessorFunctionOptions } from './processor-function-options';
import { LogLevel } from './processor-settings';

/** Properties of `ProcessorFunction`. */
export interface ProcessorFunctionProps extends ProcessorFunctionOptions {
  /** The code to run. */
  readonly code: ProcessorCode;

  /**
   * The key that encrypts the log group. The policy of a key of this app gets the statement that CloudWatch Logs needs. An
   * imported key must have it already.
   */
  readonly encryptionKey: IKey;

  /**
   * The queue that receives Lambda's records of asynchronous invocations that failed for good. It must be a standard
   * queue. Give either this or `onFailure`.
   *
   * @default - `onFailure` is given
   */
  readonly failedInvocations?: IQueue;

  /**
   * The least severe level that the function logs. Lambda's own filter follows it, but is never stricter than INFO.
   *
   * @default LogLevel.INFO
   */
  readonly logLevel?: LogLevel;

  /**
   * What happens to the log group when the stack is deleted.
   *
   * @default RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE
   */
  readonly removalPolicy?: RemovalPolicy;
}

/** A Rust function with a role and an encrypted log group, and no permissions that it does not use. */
export class ProcessorFunction extends Construct {
  /** The function. */
  readonly function: Function;
  /** The alias, if `functionOptions` ask for one. */
  readonly alias?: Alias;
  /** The function's log group. */
  readonly logGroup: ILogGroup;
  /** The role that the function runs as. */
  readonly role: IRole;
  /** Where statements for the function are added: its role, or a policy in this stack if the role belongs to another stack. */
  readonly grantee: IGrantable;

  constructor(scope: Construct, id: string, props: ProcessorFunctionProps) {
    super(scope, id);
    this.checkProps(props);
    this.role = props.role ?? this.createRole();
    this.grantee = granteeOf(this, this.role);
    this.function = this.createFunction(props);
    this.logGroup = this.function.logGroup;
    this.alias = props.alias && createAlias(this, this.function, props.alias);
    this.grantWhatItRunsOn(props);
    this.limitAsynchronousInvocations(props);
    this.acceptFindings();
    this.acceptDefaults(props);
  }

  /** What to invoke: the alias, or the function if it has none. */
  get target(): IFunction {
    return this.alias ?? this.function;
  }

  private checkProps(props: ProcessorFunctionProps): void {
    const { managedInstances: managed, alias, role, applicationLogLevelV2: level } = props;
    checkRange(this, 'memorySize', props.memorySize, managed ? 2_048 : 128, managed ? 32_768 : 10_240);
    checkRange(this, 'reservedConcurrentExecutions', props.reservedConcurrentExecutions, 0, 1_000_000);
    checkDuration(this, 'timeout', props.timeout, Duration.seconds(1), Duration.minutes(managed ? 90 : 15));
    check(
      this,
      level === undefined || [ApplicationLogLevel.TRACE, ApplicationLogLevel.DEBUG, ApplicationLogLevel.INFO].includes(level),
      `applicationLogLevelV2 is ${level}, with which Lambda would drop the function's metrics as well; write settings: { logLevel } instead`,
    );
    if (managed) {
      this.checkManagedInstances(props, managed);
    }
    if (alias) {
      checkAlias(this, alias, props.reservedConcurrentExecutions);
    }
    if (role) {
      checkPlace(this, 'account', 'role', role, 'Lambda runs a function as a role of its own account only; write one of this account');
    }
    checkPlace(this, 'region', 'encryptionKey', props.encryptionKey, 'a key encrypts in its own region only; write a key of this one');
    this.checkWhereFailuresGo(props);
  }

  private checkManagedInstances(props: ProcessorFunctionProps, managed: ManagedInstancesOptions): void {
    const gib = managed.memoryGiBPerVCpu;
    checkRange(this, 'concurrencyPerEnvironment', managed.concurrencyPerEnvironment, 1, 1_600);
    checkRange(this, 'minExecutionEnvironments', managed.minExecutionEnvironments, 0, managed.maxExecutionEnvironments ?? 15_000);
    checkRange(this, 'maxExecutionEnvironments', managed.maxExecutionEnvironments, 0, 15_000);
    check(
      this,
      gib === undefined || Token.isUnresolved(gib) || [2, 4, 8].includes(gib),
      `memoryGiBPerVCpu is ${gib}; write 2, 4 or 8, which are the ratios that Managed Instances have`,
    );
    check(this, !props.vpc, 'vpc and managedInstances are both set; give the subnets to the capacity provider instead of the function');
    check(
      this,
      !props.alias,
      'alias and managedInstances are both set; on Managed Instances $LATEST.PUBLISHED is invoked, and takes over as a whole',
    );
  }

  private checkWhereFailuresGo({ failedInvocations, ...props }: ProcessorFunctionProps): void {
    check(
      this,
      !props.deadLetterQueue && !props.deadLetterQueueEnabled && !props.deadLetterTopic,
      'deadLetterQueue and deadLetterTopic of a function receive asynchronous invocations, which go to a destination here; write onFailure instead',
    );
    check(this, !failedInvocations !== !props.onFailure, 'give either failedInvocations, a queue, or onFailure, a destination');
    if (failedInvocations) {
      checkStandardQueue(failedInvocations);
    }
  }

  private createRole(): Role {
    return new Role(this, 'Role', { assumedBy: new ServicePrincipal('lambda.amazonaws.com') });
  }

  private createLogGroup(props: ProcessorFunctionProps): LogGroup {
    allowLogs(this, props.encryptionKey);
    return new LogGroup(this, 'Logs', {
      encryptionKey: props.encryptionKey,
      retention: props.logRetention ?? RetentionDays.ONE_MONTH,
      removalPolicy: props.removalPolicy ?? RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE,
    });
  }

  private createFunction(props: ProcessorFunctionProps): Function {
    const { managedInstances } = props;
    const created = props.code.createFunction(this, 'Function', {
      ...ofFunctionAlone(props),
      architecture: props.architecture ?? Architecture.ARM_64,
      memorySize: props.memorySize ?? (managedInstances ? 2_048 : 1_024),
      timeout: props.timeout ?? Duration.seconds(60),
      role: this.role,
      logGroup: props.logGroup ?? this.createLogGroup(props),
      ...loggingOf(props),
      tracing: props.tracing ?? Tracing.ACTIVE,
    });
    if (managedInstances) {
      this.runOnManagedInstances(created, managedInstances);
    }
    dependOn(created, this.grantee);
    return created;
  }

  private runOnManagedInstances(created: Function, options: ManagedInstancesOptions): void {
    const { minExecutionEnvironments, maxExecutionEnvironments } = options;
    const resource = created.node.defaultChild as CfnFunction;
    resource.publishToLatestPublished = true;
    resource.capacityProviderConfig = {
      lambdaManagedInstancesCapacityProviderConfig: {
        capacityProviderArn: options.capacityProvider.capacityProviderArn,
        perExecutionEnvironmentMaxConcurrency: options.concurrencyPerEnvironment,
        executionEnvironmentMemoryGiBPerVCpu: options.memoryGiBPerVCpu,
      },
    };
    if (minExecutionEnvironments !== undefined || maxExecutionEnvironments !== undefined) {
      resource.functionScalingConfig = { minExecutionEnvironments, maxExecutionEnvironments };
    }
  }

  private grantWhatItRunsOn(props: ProcessorFunctionProps): void {
    if (props.tracing !== Tracing.DISABLED) {
      acceptTracing(this.role);
    }
    grantLogs(this.grantee, this.logGroup);
    if (props.vpc) {
      grantNetwork(this.grantee);
      new CodeBoundary(this, 'CodeBoundary', this.role, this.function, [
        { sid: 'KeepTheVpcFromTheCode', actions: ATTACH_TO_VPC, resources: ['*'] },
      ]);
    }
  }

  private limitAsynchronousInvocations(props: ProcessorFunctionProps): void {
    const { failedInvocations } = props;
    if (failedInvocations) {
      grantDestinationQueue(this.grantee, 'FailedInvocations', failedInvocations);
    }
    const config = new EventInvokeConfig(this, 'AsynchronousInvocations', {
      function: this.function,
      // What an unqualified call runs: on Managed Instances that is not $LATEST.
      qualifier: this.alias?.aliasName ?? (props.managedInstances ? '$LATEST.PUBLISHED' : undefined),
      retryAttempts: props.retryAttempts ?? 2,
      maxEventAge: props.maxEventAge ?? Duration.hours(6),
      onSuccess: props.onSuccess,
      onFailure: failedInvocations ? { bind: () => ({ destination: failedInvocations.queueArn }) } : props.onFailure,
    });
    if (this.alias) {
      config.node.addDependency(this.alias);
    }
  }

  private acceptDefaults(props: ProcessorFunctionProps): void {
    const { defaultChild } = this.function.node;
    if (!props.reservedConcurrentExecutions) {
      acceptFinding(defaultChild!, {
        checkov: ['CKV_AWS_115'],
        reason: 'What is reserved is taken from every other function; shards and parallelizationFactor bound what a stream can use.',
      });
    }
    if (!props.vpc) {
      acceptFinding(defaultChild!, {
        checkov: ['CKV_AWS_117'],
        reason: 'The function talks to AWS services only; a VPC would add cost and no protection. One property attaches it.',
      });
    }
  }

  private acceptFindings(): void {
    const { defaultChild } = this.function.node;
    acceptFinding(defaultChild!, {
      cfnLint: ['W3005'],
      reason: 'The CDK lets a function depend on its role and the policy of the role; of these only the role is implied.',
    });
    acceptFinding(defaultChild!, {
      nag: ['Serverless-LambdaDLQ'],
      checkov: ['CKV_AWS_116'],
      reason: 'Failed asynchronous invocations go to an on-failure destination, which keeps more than a dead-letter queue.',
    });
    acceptFinding(defaultChild!, {
      checkov: ['CKV_AWS_173'],
      reason: 'The variables hold names, limits and a queue URL, no secret; Lambda encrypts them with its own key.',
    });
  }
}

// The options that the CDK would make resources of by itself, which are made here, are left out.
function ofFunctionAlone(props: ProcessorFunctionProps): FunctionOptions {
  const { code, encryptionKey, failedInvocations, logLevel, removalPolicy, managedInstances, alias, ...options } = props;
  const { onFailure, onSuccess, maxEventAge, retryAttempts, logRetention, ...rest } = options;
  return rest;
}

// Lambda has levels for JSON only.
function loggingOf(props: ProcessorFunctionProps): FunctionOptions {
  const loggingFormat = props.loggingFormat ?? LoggingFormat.JSON;
  if (loggingFormat !== LoggingFormat.JSON) {
    return { loggingFormat };
  }
  return {
    loggingFormat,
    applicationLogLevelV2: props.applicationLogLevelV2 ?? applicationLogLevel(props.logLevel ?? LogLevel.INFO),
    systemLogLevelV2: props.systemLogLevelV2 ?? SystemLogLevel.INFO,
  };
}

// Lambda drops JSON lines below this level, and counts a line without a level, as metrics in EMF are, as INFO: a stricter
// level here would silence the metrics. The process itself drops what is below its own level.
function applicationLogLevel(level: LogLevel): ApplicationLogLevel {
  switch (level) {
    case LogLevel.TRACE:
      return ApplicationLogLevel.TRACE;
    case LogLevel.DEBUG:
      return ApplicationLogLevel.DEBUG;
    default:
      return ApplicationLogLevel.INFO;
  }
}

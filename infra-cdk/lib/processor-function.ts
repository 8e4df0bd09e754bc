import { Duration, RemovalPolicy } from 'aws-cdk-lib';
import { ISecurityGroup, IVpc, SubnetSelection } from 'aws-cdk-lib/aws-ec2';
import { IRole, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { IKey } from 'aws-cdk-lib/aws-kms';
import {
  ApplicationLogLevel,
  Architecture,
  CfnFunction,
  EventInvokeConfig,
  Function,
  ICapacityProvider,
  LoggingFormat,
  SystemLogLevel,
  Tracing,
} from 'aws-cdk-lib/aws-lambda';
import { LogGroup, RetentionDays } from 'aws-cdk-lib/aws-logs';
import { IQueue } from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import { check, checkDuration, checkRange } from './checks';
import { acceptFinding } from './findings';
import { acceptTracing, grantDestinationQueue, grantLogs, grantNetwork } from './grants';
import { ProcessorCode } from './processor-code';
import { LogLevel } from './processor-settings';

/** Runs the function on Lambda Managed Instances, where one environment serves several invocations at once. */
export interface ManagedInstancesOptions {
  /** The capacity provider that owns the instances. */
  readonly capacityProvider: ICapacityProvider;

  /**
   * Invocations at once in one execution environment, 1 to 1,600.
   *
   * @default - Lambda's: 10
   */
  readonly concurrencyPerEnvironment?: number;

  /**
   * Memory per vCPU of an execution environment, in GiB: 2, 4 or 8.
   *
   * @default - Lambda's: 2
   */
  readonly memoryGiBPerVCpu?: number;
}

/** How the function runs. */
export interface ProcessorFunctionOptions {
  /**
   * The processor that the code is built for.
   *
   * @default Architecture.ARM_64
   */
  readonly architecture?: Architecture;

  /**
   * Memory in MB, and CPU with it.
   *
   * @default 1024
   */
  readonly memorySize?: number;

  /**
   * How long one invocation may take.
   *
   * @default Duration.seconds(60)
   */
  readonly timeout?: Duration;

  /**
   * How many execution environments the function may have, and always gets; 0 reserves none.
   *
   * @default 100, or none on Managed Instances
   */
  readonly reservedConcurrency?: number;

  /**
   * Variables beside those that the construct sets, of which only `GLIBC_TUNABLES`, which keeps memory from one invocation to
   * the next, is replaced by another value here.
   *
   * @default - none
   */
  readonly environment?: Record<string, string>;

  /**
   * The VPC to attach the function to; it needs a way to SQS from there.
   *
   * @default - none
   */
  readonly vpc?: IVpc;

  /**
   * The VPC's subnets.
   *
   * @default - the private ones
   */
  readonly vpcSubnets?: SubnetSelection;

  /**
   * The security groups of the function in its VPC.
   *
   * @default - a new one
   */
  readonly securityGroups?: ISecurityGroup[];

  /**
   * Runs on Managed Instances.
   *
   * @default - runs on Lambda's own fleet
   */
  readonly managedInstances?: ManagedInstancesOptions;

  /**
   * The role to run as; statements are added to it.
   *
   * @default - a new role with those statements alone
   */
  readonly role?: IRole;

  /**
   * How long logs are kept.
   *
   * @default RetentionDays.ONE_MONTH
   */
  readonly logRetention?: RetentionDays;
}

/** Properties of `ProcessorFunction`. */
export interface ProcessorFunctionProps extends ProcessorFunctionOptions {
  /** What to run. */
  readonly code: ProcessorCode;

  /** Encrypts the logs; its policy lets CloudWatch Logs use it. */
  readonly encryptionKey: IKey;

  /** Receives what Lambda says of asynchronous invocations that failed for good. */
  readonly failedInvocations: IQueue;

  /**
   * The function's `LOG_LEVEL`.
   *
   * @default LogLevel.INFO
   */
  readonly logLevel?: LogLevel;

  /**
   * What becomes of the log group when the stack is deleted.
   *
   * @default RemovalPolicy.RETAIN
   */
  readonly removalPolicy?: RemovalPolicy;

  /**
   * What the function is for, as the console shows it.
   *
   * @default - none
   */
  readonly description?: string;
}

/** A Rust function with a role, an encrypted log group and nothing that it does not use. */
export class ProcessorFunction extends Construct {
  /** The Lambda function. */
  readonly function: Function;
  /** The function's log group. */
  readonly logGroup: LogGroup;
  /** The role that the function runs as. */
  readonly role: IRole;

  constructor(scope: Construct, id: string, props: ProcessorFunctionProps) {
    super(scope, id);
    this.checkProps(props);
    this.role = props.role ?? this.createRole();
    this.logGroup = this.createLogGroup(props);
    this.function = this.createFunction(props);
    this.grantWhatItRunsOn(props);
    this.limitAsynchronousInvocations(props.failedInvocations);
    this.acceptFindings();
  }

  private checkProps(props: ProcessorFunctionProps): void {
    checkRange(this, 'memorySize', props.memorySize, props.managedInstances ? 2048 : 128, 32_768);
    checkRange(this, 'reservedConcurrency', props.reservedConcurrency, 0, 1_000_000);
    checkRange(this, 'concurrencyPerEnvironment', props.managedInstances?.concurrencyPerEnvironment, 1, 1_600);
    checkDuration(this, 'timeout', props.timeout, Duration.seconds(1), Duration.minutes(15));
    check(
      this,
      !(props.managedInstances && props.vpc),
      'vpc and managedInstances are both set; give the subnets to the capacity provider instead of the function',
    );
  }

  private createRole(): Role {
    return new Role(this, 'Role', { assumedBy: new ServicePrincipal('lambda.amazonaws.com') });
  }

  private createLogGroup(props: ProcessorFunctionProps): LogGroup {
    return new LogGroup(this, 'Logs', {
      encryptionKey: props.encryptionKey,
      retention: props.logRetention ?? RetentionDays.ONE_MONTH,
      removalPolicy: props.removalPolicy ?? RemovalPolicy.RETAIN,
    });
  }

  private createFunction(props: ProcessorFunctionProps): Function {
    const created = props.code.createFunction(this, 'Function', {
      description: props.description,
      architecture: props.architecture ?? Architecture.ARM_64,
      memorySize: props.memorySize ?? (props.managedInstances ? 2048 : 1024),
      timeout: props.timeout ?? Duration.seconds(60),
      reservedConcurrentExecutions: reservedConcurrency(props),
      role: this.role,
      logGroup: this.logGroup,
      loggingFormat: LoggingFormat.JSON,
      applicationLogLevelV2: applicationLogLevel(props.logLevel ?? LogLevel.INFO),
      systemLogLevelV2: SystemLogLevel.INFO,
      tracing: Tracing.ACTIVE,
      environment: props.environment,
      vpc: props.vpc,
      vpcSubnets: props.vpcSubnets,
      securityGroups: props.securityGroups,
    });
    if (props.managedInstances) {
      this.runOnManagedInstances(created, props.managedInstances);
    }
    return created;
  }

  private runOnManagedInstances(created: Function, options: ManagedInstancesOptions): void {
    const resource = created.node.defaultChild as CfnFunction;
    resource.publishToLatestPublished = true;
    resource.capacityProviderConfig = {
      lambdaManagedInstancesCapacityProviderConfig: {
        capacityProviderArn: options.capacityProvider.capacityProviderArn,
        perExecutionEnvironmentMaxConcurrency: options.concurrencyPerEnvironment,
        executionEnvironmentMemoryGiBPerVCpu: options.memoryGiBPerVCpu,
      },
    };
  }

  private grantWhatItRunsOn(props: ProcessorFunctionProps): void {
    acceptTracing(this.function);
    grantLogs(this.function, this.logGroup);
    if (props.vpc) {
      grantNetwork(this.function);
    }
  }

  private limitAsynchronousInvocations(queue: IQueue): void {
    grantDestinationQueue(this.function, 'FailedInvocations', queue);
    new EventInvokeConfig(this, 'AsynchronousInvocations', {
      function: this.function,
      retryAttempts: 2,
      maxEventAge: Duration.hours(6),
      onFailure: { bind: () => ({ destination: queue.queueArn }) },
    });
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
      checkov: ['CKV_AWS_117'],
      reason: 'The function talks to AWS services only; a VPC would add cost and no protection. One property attaches it.',
    });
    acceptFinding(defaultChild!, {
      checkov: ['CKV_AWS_173'],
      reason: 'The variables hold names, limits and a queue URL, no secret; Lambda encrypts them with its own key.',
    });
  }
}

function reservedConcurrency(props: ProcessorFunctionProps): number | undefined {
  const reserved = props.reservedConcurrency ?? (props.managedInstances ? 0 : 100);
  return reserved === 0 ? undefined : reserved;
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

import { Duration } from 'aws-cdk-lib';
import { IAlarm } from 'aws-cdk-lib/aws-cloudwatch';
import { ILambdaDeploymentConfig } from 'aws-cdk-lib/aws-codedeploy';
import { IVpc } from 'aws-cdk-lib/aws-ec2';
import { IRole } from 'aws-cdk-lib/aws-iam';
import { Architecture, FunctionOptions, ICapacityProvider, IDestination, Tracing } from 'aws-cdk-lib/aws-lambda';
import { RetentionDays } from 'aws-cdk-lib/aws-logs';

/** Runs the function on Lambda Managed Instances, where one environment serves several invocations at once. */
export interface ManagedInstancesOptions {
  /** The capacity provider that owns the instances. */
  readonly capacityProvider: ICapacityProvider;

  /**
   * Invocations at once in one execution environment, 1 to 1,600.
   *
   * @default - Lambda's for Rust: 8 per vCPU
   */
  readonly concurrencyPerEnvironment?: number;

  /**
   * Memory per vCPU of an execution environment, in GiB: 2, 4 or 8.
   *
   * @default - Lambda's: 2
   */
  readonly memoryGiBPerVCpu?: number;

  /**
   * Execution environments that always run, and are paid for.
   *
   * @default - Lambda's: 3
   */
  readonly minExecutionEnvironments?: number;

  /**
   * Execution environments that the function may have.
   *
   * @default - no limit but that of the capacity provider
   */
  readonly maxExecutionEnvironments?: number;
}

/** An alias through which the function is invoked, and how a new version takes over from the old one. */
export interface ProcessorAliasOptions {
  /**
   * The alias's name.
   *
   * @default 'live'
   */
  readonly aliasName?: string;

  /**
   * Execution environments that are started before they are needed, 1 or more; paid by the hour.
   *
   * @default - none
   */
  readonly provisionedConcurrentExecutions?: number;

  /**
   * How CodeDeploy moves invocations to a new version, e.g. `LambdaDeploymentConfig.CANARY_10PERCENT_5MINUTES`.
   *
   * @default - all at once, without CodeDeploy
   */
  readonly deployment?: ILambdaDeploymentConfig;

  /**
   * Alarms at which CodeDeploy goes back to the old version; only with `deployment`.
   *
   * @default - one, at the first failed invocation of the alias
   */
  readonly rollbackAlarms?: IAlarm[];
}

/**
 * How the function runs: every option that the CDK has for a function, with defaults for a stream.
 *
 * What belongs to asynchronous invocations (`onFailure`, `onSuccess`, `maxEventAge`, `retryAttempts`) is set for the alias or
 * version that is invoked.
 */
export interface ProcessorFunctionOptions extends FunctionOptions {
  /**
   * The processor that the code is built for.
   *
   * @default Architecture.ARM_64
   */
  readonly architecture?: Architecture;

  /**
   * Memory in MB, and CPU with it: 128 to 10,240, or 2,048 to 32,768 on Managed Instances.
   *
   * @default 1024, or 2048 on Managed Instances
   */
  readonly memorySize?: number;

  /**
   * How long one invocation may take: 1 s to 15 minutes, or to 90 minutes on Managed Instances.
   *
   * @default Duration.seconds(60)
   */
  readonly timeout?: Duration;

  /**
   * How many execution environments the function may have, and always gets. They are taken from the account's: an account
   * without further quota has 1,000 for all functions, a new one 10.
   *
   * @default - no limit but the account's
   */
  readonly reservedConcurrentExecutions?: number;

  /**
   * Variables beside those that the construct sets, of which only `GLIBC_TUNABLES`, which keeps memory from one invocation to
   * the next, is replaced by another value here.
   *
   * @default - none
   */
  readonly environment?: { [key: string]: string };

  /**
   * The VPC to attach the function to. From there the function calls SQS, and what its handlers call: give it a NAT gateway
   * or an interface endpoint for SQS. Streams, buckets and keys are used from outside the VPC, by Lambda.
   *
   * @default - none
   */
  readonly vpc?: IVpc;

  /**
   * The role to run as; statements are added to it, unless it is imported with `mutable: false`.
   *
   * @default - a new role with those statements alone
   */
  readonly role?: IRole;

  /**
   * How long the log group that is made keeps logs; not with `logGroup`.
   *
   * @default RetentionDays.ONE_MONTH
   */
  readonly logRetention?: RetentionDays;

  /**
   * Whether invocations are traced with X-Ray.
   *
   * @default Tracing.ACTIVE
   */
  readonly tracing?: Tracing;

  /**
   * Receives asynchronous invocations that failed for good.
   *
   * @default - a new queue, `failedInvocations`
   */
  readonly onFailure?: IDestination;

  /**
   * Runs on Managed Instances.
   *
   * @default - runs on Lambda's own fleet
   */
  readonly managedInstances?: ManagedInstancesOptions;

  /**
   * Invokes the function through an alias: for canary deployments, provisioned concurrency, or to be able to go back.
   *
   * @default - the function itself is invoked
   */
  readonly alias?: ProcessorAliasOptions;
}

import { IAlarm } from 'aws-cdk-lib/aws-cloudwatch';
import { ILambdaDeploymentConfig } from 'aws-cdk-lib/aws-codedeploy';
import { FunctionOptions, ICapacityProvider } from 'aws-cdk-lib/aws-lambda';

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
 * - `architecture`: `Architecture.ARM_64`
 * - `memorySize`: 1,024 MB of 128 to 10,240; on Managed Instances 2,048 MB of 2,048 to 32,768
 * - `timeout`: 60 s of 1 s to 15 minutes; on Managed Instances up to 90 minutes
 * - `reservedConcurrentExecutions`: none. What is reserved is taken from the account, which has 1,000 for all functions, a new one 10
 * - `environment`: your own variables. `GLIBC_TUNABLES`, which keeps memory from one invocation to the next, can be replaced; the
 *   variables that `builder_from_env()` reads are refused, since the construct writes them
 * - `role`: a new one. Statements are added to one that is given, unless it is imported with `mutable: false`
 * - `logGroup`: a new one, encrypted, that keeps logs for `logRetention`, by default a month
 * - `loggingFormat`: JSON, with Lambda's own filter never stricter than INFO, which would drop the metrics
 * - `tracing`: `Tracing.ACTIVE`
 * - `vpc`: none. From a VPC the function calls SQS, DynamoDB where there is `idempotency`, and what its handlers call: give it a NAT
 *   gateway, or an interface endpoint for SQS and a gateway endpoint for DynamoDB. Streams, buckets and keys are used by Lambda from outside
 * - `onFailure`, of asynchronous invocations: a new queue, `failedInvocations`. `onSuccess`, `maxEventAge` (6 hours) and
 *   `retryAttempts` (2) go with it; all four are set for the alias or version that is invoked
 */
export interface ProcessorFunctionOptions extends FunctionOptions {
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

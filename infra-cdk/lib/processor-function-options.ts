import { IAlarm } from 'aws-cdk-lib/aws-cloudwatch';
import { ILambdaDeploymentConfig } from 'aws-cdk-lib/aws-codedeploy';
import { FunctionOptions, ICapacityProvider } from 'aws-cdk-lib/aws-lambda';

/** Runs the function on Lambda Managed Instances, where one environment serves several concurrent invocations. */
export interface ManagedInstancesOptions {
  /** The capacity provider that owns the instances. */
  readonly capacityProvider: ICapacityProvider;

  /**
   * Concurrent invocations in one execution environment, 1 to 1,600.
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
   * The execution environments that always run, and are billed.
   *
   * @default - Lambda's: 3
   */
  readonly minExecutionEnvironments?: number;

  /**
   * The most execution environments of the function.
   *
   * @default - the limit of the capacity provider
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
   * Execution environments that are started before they are needed, 1 or more. They are billed by the hour.
   *
   * @default - none
   */
  readonly provisionedConcurrentExecutions?: number;

  /**
   * How CodeDeploy moves invocations to a new version, such as `LambdaDeploymentConfig.CANARY_10PERCENT_5MINUTES`.
   *
   * @default - all invocations at once, without CodeDeploy
   */
  readonly deployment?: ILambdaDeploymentConfig;

  /**
   * Alarms that make CodeDeploy roll back to the old version. Only with `deployment`.
   *
   * @default - one alarm, which goes off at the first failed invocation of the alias
   */
  readonly rollbackAlarms?: IAlarm[];
}

/**
 * How the function runs: every option of a CDK function, with defaults that suit a stream.
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
   * Invokes the function through an alias: for canary deployments, provisioned concurrency, or rollbacks.
   *
   * @default - the function itself is invoked
   */
  readonly alias?: ProcessorAliasOptions;
}

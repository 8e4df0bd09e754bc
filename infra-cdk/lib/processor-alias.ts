import { Duration, Token } from 'aws-cdk-lib';
import { Alarm, ComparisonOperator, TreatMissingData } from 'aws-cdk-lib/aws-cloudwatch';
import { LambdaDeploymentGroup } from 'aws-cdk-lib/aws-codedeploy';
import { Alias, Function } from 'aws-cdk-lib/aws-lambda';
import { Construct } from 'constructs';
import { check, checkRange } from './checks';
import { acceptFinding } from './findings';
import { ProcessorAliasOptions } from './processor-function-options';

/** Throws unless Lambda takes the alias of a function with that much reserved concurrency. */
export function checkAlias(scope: Construct, options: ProcessorAliasOptions, reserved: number | undefined): void {
  const { aliasName: name, provisionedConcurrentExecutions: provisioned } = options;
  check(
    scope,
    name === undefined || Token.isUnresolved(name) || /^(?!\d+$)[\w-]{1,128}$/.test(name),
    `aliasName is "${name}"; write 1 to 128 letters, digits, hyphens and underscores, and not only digits, like live`,
  );
  checkRange(scope, 'provisionedConcurrentExecutions', provisioned, 1, 1_000_000);
  check(
    scope,
    Token.isUnresolved(provisioned) || Token.isUnresolved(reserved) || (provisioned ?? 0) <= (reserved ?? Infinity),
    `provisionedConcurrentExecutions is ${provisioned}, which Lambda takes from what is reserved, and reservedConcurrentExecutions is ` +
      `${reserved}; reserve more or provision less`,
  );
  check(
    scope,
    options.deployment !== undefined || options.rollbackAlarms === undefined,
    'rollbackAlarms has no effect without deployment; write how CodeDeploy is to move to a new version, too',
  );
}

/** Creates the alias of the function's current version, and what moves it to the next one. */
export function createAlias(scope: Construct, target: Function, options: ProcessorAliasOptions): Alias {
  const alias = new Alias(scope, 'Alias', {
    aliasName: options.aliasName ?? 'live',
    version: target.currentVersion,
    provisionedConcurrentExecutions: options.provisionedConcurrentExecutions,
  });
  if (options.deployment) {
    const deployment = new LambdaDeploymentGroup(scope, 'Deployment', {
      alias,
      deploymentConfig: options.deployment,
      alarms: options.rollbackAlarms ?? [createRollbackAlarm(scope, alias)],
    });
    acceptFinding(deployment.role.node.defaultChild!, {
      nag: ['AwsSolutions-IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/service-role/AWSCodeDeployRoleForLambdaLimited]'],
      reason: 'CodeDeploy moves the alias with the policy that AWS keeps for exactly that.',
    });
  }
  return alias;
}

function createRollbackAlarm(scope: Construct, alias: Alias): Alarm {
  return new Alarm(scope, 'RollbackAlarm', {
    metric: alias.metricErrors({ period: Duration.minutes(1) }),
    threshold: 1,
    evaluationPeriods: 1,
    comparisonOperator: ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
    treatMissingData: TreatMissingData.NOT_BREACHING,
    alarmDescription: 'An invocation of the alias failed as a whole; a deployment in progress goes back to the old version.',
  });
}

import { Duration } from 'aws-cdk-lib';
import { Alarm, ComparisonOperator, TreatMissingData } from 'aws-cdk-lib/aws-cloudwatch';
import { LambdaDeploymentGroup } from 'aws-cdk-lib/aws-codedeploy';
import { Alias, Function } from 'aws-cdk-lib/aws-lambda';
import { Construct } from 'constructs';
import { check } from './checks';
import { acceptFinding } from './findings';
import { ProcessorAliasOptions } from './processor-function-options';

/** Creates the alias of the function's current version, and what moves it to the next one. */
export function createAlias(scope: Construct, target: Function, options: ProcessorAliasOptions): Alias {
  check(
    scope,
    options.deployment !== undefined || options.rollbackAlarms === undefined,
    'rollbackAlarms has no effect without deployment; write how CodeDeploy is to move to a new version, too',
  );
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
    alarmDescription: 'An invocation of the alias failed as a whole; a deployment that is under way goes back to the old version.',
  });
}

import { Annotations, Arn, ArnFormat, Stack } from 'aws-cdk-lib';
import { PolicyStatement, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { IKey } from 'aws-cdk-lib/aws-kms';
import { Construct } from 'constructs';

/** Lets CloudWatch Logs encrypt the log groups of the account and region of `scope` with `key`. */
export function allowLogs(scope: Construct, key: IKey): void {
  const stack = Stack.of(scope);
  const groups = Arn.format(
    { service: 'logs', resource: 'log-group', resourceName: '*', arnFormat: ArnFormat.COLON_RESOURCE_NAME },
    stack,
  );
  const statement = new PolicyStatement({
    sid: 'EncryptLogGroupsOfThisAccount',
    principals: [new ServicePrincipal(`logs.${stack.region}.amazonaws.com`)],
    actions: ['kms:Encrypt', 'kms:Decrypt', 'kms:ReEncrypt*', 'kms:GenerateDataKey*', 'kms:Describe*'],
    resources: ['*'],
    conditions: { ArnLike: { 'kms:EncryptionContext:aws:logs:arn': groups } },
  });
  allow(scope, key, statement, 'CloudWatch Logs would refuse to create the log group');
}

/** Lets CloudWatch publish the alarms of the account of `scope` to a topic that is encrypted with `key`. */
export function allowAlarms(scope: Construct, key: IKey): void {
  const statement = new PolicyStatement({
    sid: 'PublishAlarmsOfThisAccount',
    principals: [new ServicePrincipal('cloudwatch.amazonaws.com')],
    actions: ['kms:Decrypt', 'kms:GenerateDataKey*'],
    resources: ['*'],
    conditions: { StringEquals: { 'aws:SourceAccount': Stack.of(scope).account } },
  });
  allow(scope, key, statement, 'alarms would reach nobody');
}

/** Lets Lambda decrypt the filters of a mapping that are encrypted with `key`; the CDK adds the same statement, without a name. */
export function allowFilters(scope: Construct, key: IKey): void {
  const statement = new PolicyStatement({
    principals: [new ServicePrincipal('lambda.amazonaws.com')],
    actions: ['kms:Decrypt'],
    resources: ['*'],
  });
  allow(scope, key, statement, 'Lambda could not read the filters', 'DecryptFilters');
}

// A key that several constructs use gets the same statement from each of them; the CDK renders equal statements once.
function allow(scope: Construct, key: IKey, statement: PolicyStatement, otherwise: string, name = statement.sid): void {
  if (!key.addToResourcePolicy(statement).statementAdded) {
    const written = JSON.stringify(Stack.of(scope).resolve(statement.toStatementJson()));
    Annotations.of(scope).addWarningV2(
      `lambda-streams:KeyPolicy${name}`,
      `the policy of the imported key ${key.node.path} cannot be changed here, and without this statement ${otherwise}: ${written}; ` +
        'add it where the key is made, then acknowledge this warning',
    );
  }
}

import { ArnFormat, RemovalPolicy, Stack, StackProps } from 'aws-cdk-lib';
import { CfnAccount } from 'aws-cdk-lib/aws-apigateway';
import { PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { Construct } from 'constructs';
import { acceptFinding, wildcardFinding } from './findings';

/**
 * The role that API Gateway writes logs with: one for all APIs of an account and region.
 *
 * A stack of its own, because the setting is no part of any API: were it in the stack of one, deleting that stack would silence
 * the logs of the others. Leave it out where the account has such a role.
 */
export class ApiGatewayAccountStack extends Stack {
  constructor(scope: Construct, id: string, props?: StackProps) {
    super(scope, id, props);
    const role = this.createRole();
    const account = new CfnAccount(this, 'Account', { cloudWatchRoleArn: role.roleArn });
    account.node.addDependency(role.node.findChild('DefaultPolicy'));
    account.applyRemovalPolicy(RemovalPolicy.DESTROY);
  }

  private createRole(): Role {
    const role = new Role(this, 'Role', {
      description: 'API Gateway writes the logs of the APIs of this account and region with it',
      assumedBy: new ServicePrincipal('apigateway.amazonaws.com', {
        conditions: { StringEquals: { 'aws:SourceAccount': this.account } },
      }),
    });
    role.addToPolicy(this.writeLogs());
    acceptFinding(role.node.findChild('DefaultPolicy'), {
      nag: [wildcardFinding(this, this.logGroups())],
      reason: 'One role serves all APIs of the account and region, whose log groups are not known to it.',
    });
    return role;
  }

  private writeLogs(): PolicyStatement {
    return new PolicyStatement({
      sid: 'WriteLogsOfEveryApi',
      actions: [
        'logs:CreateLogGroup',
        'logs:CreateLogStream',
        'logs:DescribeLogGroups',
        'logs:DescribeLogStreams',
        'logs:FilterLogEvents',
        'logs:GetLogEvents',
        'logs:PutLogEvents',
      ],
      resources: [this.logGroups()],
    });
  }

  private logGroups(): string {
    return this.formatArn({
      service: 'logs',
      resource: 'log-group',
      resourceName: '*',
      arnFormat: ArnFormat.COLON_RESOURCE_NAME,
    });
  }
}

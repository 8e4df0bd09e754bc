import { RemovalPolicy, Stack, StackProps } from 'aws-cdk-lib';
import { CfnAccount } from 'aws-cdk-lib/aws-apigateway';
import { ManagedPolicy, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { Construct } from 'constructs';
import { acceptFinding } from './findings';

/**
 * The role that API Gateway writes logs with: one setting for all APIs of an account and region.
 *
 * Deploying it replaces the account's role. Check first with `aws apigateway get-account`, and leave this stack out if that shows a
 * `cloudwatchRoleArn`. Deleting the stack keeps the role and the setting, because APIs of other stacks may use them by then.
 */
export class ApiGatewayAccountStack extends Stack {
  constructor(scope: Construct, id: string, props?: StackProps) {
    super(scope, id, props);
    const account = new CfnAccount(this, 'Account', { cloudWatchRoleArn: this.createRole().roleArn });
    account.applyRemovalPolicy(RemovalPolicy.RETAIN);
  }

  /**
   * API Gateway tests the role when the setting is made, and refuses one that it takes for insufficient. So this is the role that its
   * developer guide describes, with the managed policy, and without a condition in the trust policy: it is unknown whether
   * the test passes with one.
   */
  private createRole(): Role {
    const role = new Role(this, 'Role', {
      description: 'API Gateway writes the logs of the APIs of this account and region with it',
      assumedBy: new ServicePrincipal('apigateway.amazonaws.com'),
      managedPolicies: [ManagedPolicy.fromAwsManagedPolicyName('service-role/AmazonAPIGatewayPushToCloudWatchLogs')],
    });
    role.applyRemovalPolicy(RemovalPolicy.RETAIN);
    acceptFinding(role, {
      nag: ['AwsSolutions-IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/service-role/AmazonAPIGatewayPushToCloudWatchLogs]'],
      reason: 'API Gateway asks for the permissions of this policy, on the logs of every API of the account, when it is given the role.',
    });
    return role;
  }
}

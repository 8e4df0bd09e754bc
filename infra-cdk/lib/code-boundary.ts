import { Effect, IRole, Policy, PolicyStatement } from 'aws-cdk-lib/aws-iam';
import { IFunction } from 'aws-cdk-lib/aws-lambda';
import { Construct } from 'constructs';

/** Actions on resources that Lambda needs and the function's code does not. */
export interface LambdaOnly {
  /** The statement's name. */
  readonly sid: string;
  /** The actions. */
  readonly actions: string[];
  /** The resources. */
  readonly resources: string[];
}

/**
 * Keeps what Lambda does as the function's role, reading event sources and attaching to a VPC, from the function's code.
 *
 * One role serves both. What the code calls carries `lambda:SourceFunctionArn`; what Lambda calls for mappings and network
 * interfaces does not (Lambda developer guide, "Using source function ARN to control function access behavior"). The policy is
 * a resource of its own that names the function and that the function does not wait for: in the role's own policy it would be
 * a circle.
 *
 * Writing to on-failure destinations is left out on purpose. The guide does not list these calls, and a denied one would lose
 * the batch.
 */
export class CodeBoundary extends Construct {
  constructor(scope: Construct, id: string, role: IRole, target: IFunction, kept: LambdaOnly[]) {
    super(scope, id);
    const { functionArn } = target;
    const statements = kept.map(
      (statement) =>
        new PolicyStatement({
          ...statement,
          effect: Effect.DENY,
          conditions: { ArnLike: { 'lambda:SourceFunctionArn': [functionArn, `${functionArn}:*`] } },
        }),
    );
    role.attachInlinePolicy(new Policy(this, 'Policy', { statements }));
  }
}

import { CfnResource, Stack, Validations } from 'aws-cdk-lib';
import { IConstruct } from 'constructs';

/** Findings to accept on one resource, from the three checkers that read the template: cdk-nag, checkov and cfn-lint. */
export interface AcceptedFinding {
  /**
   * cdk-nag rules. A rule with several findings needs the finding in brackets.
   *
   * @default - none
   */
  readonly nag?: string[];

  /**
   * checkov checks.
   *
   * @default - none
   */
  readonly checkov?: string[];

  /**
   * cfn-lint checks.
   *
   * @default - none
   */
  readonly cfnLint?: string[];

  /** Why the findings do not apply here. The template has the reason, at the resource. */
  readonly reason: string;
}

/** Findings of the static checkers that do not apply to a resource. */
export class Findings {
  /**
   * Accepts findings on one resource, each with a written reason.
   *
   * @param construct a CloudFormation resource, or a construct whose default child is one
   * @param finding what is accepted, and why
   */
  static accept(construct: IConstruct, finding: AcceptedFinding): void {
    acceptFinding(construct, finding);
  }

  private constructor() {}
}

/** `Findings.accept`, for this library's own constructs. */
export function acceptFinding(construct: IConstruct, finding: AcceptedFinding): void {
  const { reason } = finding;
  for (const id of finding.nag ?? []) {
    acknowledge(construct, id, reason);
  }
  const resource = CfnResource.isCfnResource(construct) ? construct : (construct.node.defaultChild as CfnResource);
  const skip = (finding.checkov ?? []).map((id) => ({ id, comment: reason }));
  if (skip.length > 0) {
    const earlier = resource.getMetadata('checkov') as { skip: object[] } | undefined;
    resource.addMetadata('checkov', { skip: [...(earlier?.skip ?? []), ...skip] });
  }
  if (finding.cfnLint) {
    resource.addMetadata('cfn-lint', { config: { ignore_checks: finding.cfnLint }, reason });
  }
}

/** Accepts a finding of cdk-nag. */
export function acknowledge(construct: IConstruct, id: string, reason: string): void {
  try {
    Validations.of(construct).acknowledge({ id, reason });
  } catch (error) {
    // Before 2.269 the CDK takes no id with a second "::", as in an ARN; there the finding stays for the user to accept.
    if ((error as Error).name !== 'InvalidValidationId') {
      throw error;
    }
  }
}

/** The name that cdk-nag's finding AwsSolutions-IAM5 has for a statement's resource. */
export function wildcardFinding(stack: Stack, resource: string): string {
  return `AwsSolutions-IAM5[Resource::${flatten(stack.resolve(resource))}]`;
}

// cdk-nag writes references as <LogicalId> or <LogicalId.Attribute>.
function flatten(value: unknown): string {
  if (typeof value === 'string') {
    return value;
  }
  const [intrinsic, argument] = Object.entries(value as Record<string, unknown>)[0]!;
  switch (intrinsic) {
    case 'Ref':
      return `<${String(argument)}>`;
    case 'Fn::GetAtt':
      return `<${(argument as string[]).join('.')}>`;
    case 'Fn::Join':
      return (argument as [string, unknown[]])[1].map(flatten).join((argument as [string])[0]);
    default:
      return JSON.stringify(value);
  }
}

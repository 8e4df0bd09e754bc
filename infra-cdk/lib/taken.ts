import { IResource, Token } from 'aws-cdk-lib';
import { Construct, IConstruct } from 'constructs';

const TAKEN = new WeakMap<IConstruct, Map<string, string>>();

/** Takes `name` for `scope`; the path of the construct of the same app that took it before, if one did. */
export function take(scope: Construct, name: string): string | undefined {
  const { root } = scope.node;
  const taken = TAKEN.get(root) ?? new Map<string, string>();
  TAKEN.set(root, taken);
  const before = taken.get(name);
  taken.set(name, before ?? scope.node.path);
  return before;
}

/** The path of the construct of the same app that took `name` first. */
export function takenBy(scope: Construct, name: string): string | undefined {
  return TAKEN.get(scope.node.root)?.get(name);
}

/** What is the same for everything that is imported by the same ARN, and for nothing else. */
export function identityOf(resource: IResource, arn: string): string {
  return Token.isUnresolved(arn) ? resource.node.addr : arn;
}

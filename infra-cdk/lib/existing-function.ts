import { Annotations, CfnResource, Duration, IResource, Stack } from 'aws-cdk-lib';
import { ITable } from 'aws-cdk-lib/aws-dynamodb';
import { IGrantable, IRole } from 'aws-cdk-lib/aws-iam';
import { Function, IFunction, QualifiedFunctionBase } from 'aws-cdk-lib/aws-lambda';
import { IQueue } from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import { check, checkPlace } from './checks';
import { granteeOf } from './grants';
import { identityOf, take } from './taken';

/** The function of a processor, made here or elsewhere. */
export interface BackingFunction {
  /** What is invoked: the function, an alias or a version. */
  readonly target: IFunction;
  /** The function of the alias or version, or the function itself. */
  readonly unqualified: IFunction;
  /** The role that it runs as. */
  readonly role: IRole;
  /** What statements for the role are added to. */
  readonly grantee: IGrantable;
}

/** A function or alias that somebody else made, as far as it is known. */
export class ExistingFunction implements BackingFunction {
  readonly unqualified: IFunction;
  readonly role: IRole;
  readonly grantee: IGrantable;
  /** How long an invocation may take. */
  readonly timeout: Duration;

  constructor(private readonly scope: Construct, readonly target: IFunction, timeout?: Duration) {
    this.unqualified = unqualified(target);
    for (const part of ['region', 'account'] as const) {
      checkPlace(scope, part, 'handler', this.unqualified, 'a mapping belongs to the region and account of its function; deploy this construct there');
    }
    const { role } = this.unqualified;
    check(
      scope,
      role !== undefined,
      'the role of handler is unknown, so nothing can be granted to it; import it with Function.fromFunctionAttributes and its role',
    );
    this.role = role!;
    this.timeout = this.findTimeout(timeout);
    this.grantee = granteeOf(scope, this.role);
  }

  private findTimeout(given: Duration | undefined): Duration {
    const { scope } = this;
    if (!(this.unqualified instanceof Function)) {
      check(
        scope,
        given !== undefined,
        'the timeout of handler is unknown, since it is imported; write it as timeout: alarms, queues and handlerTimeout follow from it',
      );
      return given!;
    }
    const known = this.unqualified.timeout ?? Duration.seconds(3);
    check(
      scope,
      given === undefined || given.toMilliseconds() === known.toMilliseconds(),
      `timeout is ${given?.toHumanString()}, but that of handler is ${known.toHumanString()}; leave it out, for a function of this app is asked`,
    );
    return known;
  }

  /** Tells the function where it is read: in its environment, or, where that cannot be written, in a warning. */
  writeEnvironment(variables: Record<string, string>, deadLetterQueue: IQueue, idempotencyTable?: ITable): void {
    const { scope, target, unqualified: written } = this;
    if (!(written instanceof Function)) {
      Annotations.of(scope).addWarningV2(
        'lambda-streams:HandlerEnvironment',
        `handler ${target.node.path} is imported, so its environment cannot be written; set ${Object.keys(variables).join(', ')} ` +
          'where the function is made (environmentFor gives the values), then acknowledge this warning',
      );
      return;
    }
    this.checkNoCircle(written, deadLetterQueue, 'the dead-letter queue', 'deadLetterQueue');
    if (idempotencyTable) {
      this.checkNoCircle(written, idempotencyTable, 'the idempotency table', 'idempotency: { table }');
    }
    for (const [name, value] of Object.entries(variables)) {
      written.addEnvironment(name, value);
    }
  }

  // The stack of this construct depends on that of the function, whose environment then must not name a resource of this stack.
  private checkNoCircle(target: Function, resource: IResource, what: string, property: string): void {
    const here = Stack.of(this.scope);
    const isMadeHere = Stack.of(resource) === here && CfnResource.isCfnResource(resource.node.defaultChild);
    check(
      this.scope,
      isPartOf(Stack.of(target), here) || !isMadeHere,
      `handler is a function of the stack ${Stack.of(target).node.path}, and its environment would name ${what} of the stack ` +
        `${here.node.path}: each stack would depend on the other. Make it in ${Stack.of(target).node.path} and give it as ` +
        `${property}, or move this construct there`,
    );
  }
}

/** A nested stack is a resource of its parent: what is inside may name what is outside, and the other way round. */
function isPartOf(stack: Stack, whole: Stack): boolean {
  return stack === whole || (stack.nestedStackParent !== undefined && isPartOf(stack.nestedStackParent, whole));
}

/** The function of an alias or version. */
export function unqualified(handler: IFunction): IFunction {
  return handler instanceof QualifiedFunctionBase ? unqualified(handler.lambda) : handler;
}

/** Throws where another processor has the function already: they would overwrite each other's environment. */
export function claim(scope: Construct, target: IFunction): void {
  const owner = take(scope, `function ${identityOf(target, target.functionArn)}`);
  check(
    scope,
    owner === undefined,
    `handler is the function of ${owner} already, and a function has one environment: dead letters and metrics of both would be mixed; ` +
      'make a second function of the same code',
  );
}

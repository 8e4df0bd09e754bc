import { Duration, IResource, Stack, Token } from 'aws-cdk-lib';
import { Construct } from 'constructs';

/**
 * A property that cannot be deployed as it was written; thrown at synth, before anything is created.
 *
 * The message says where (the construct's path), what was found, and what to write instead.
 */
export class InvalidPropertyError extends Error {
  constructor(scope: Construct, message: string) {
    super(`${scope.node.path}: ${message}`);
    this.name = 'InvalidPropertyError';
  }
}

/** Throws unless `condition` holds. */
export function check(scope: Construct, condition: boolean, message: string): void {
  if (!condition) {
    throw new InvalidPropertyError(scope, message);
  }
}

/** Throws unless `value` is absent, a deploy-time token, or a whole number of `min` to `max`. */
export function checkRange(scope: Construct, name: string, value: number | undefined, min: number, max: number): void {
  if (value === undefined || Token.isUnresolved(value)) {
    return;
  }
  check(
    scope,
    Number.isInteger(value) && value >= min && value <= max,
    `${name} is ${value}; write a whole number of ${min} to ${max}`,
  );
}

/** Throws unless `value` is absent, a deploy-time token, or a whole number of seconds (or milliseconds), and `min` to `max` long. */
export function checkDuration(
  scope: Construct,
  name: string,
  value: Duration | undefined,
  min: Duration,
  max: Duration,
  unit: 'seconds' | 'milliseconds' = 'seconds',
): void {
  if (value === undefined || value.isUnresolved()) {
    return;
  }
  const length = value.toMilliseconds({ integral: false });
  check(
    scope,
    length >= min.toMilliseconds() && length <= max.toMilliseconds(),
    `${name} is ${value.toHumanString()}; write a duration of ${min.toHumanString()} to ${max.toHumanString()}`,
  );
  check(
    scope,
    length % (unit === 'seconds' ? 1_000 : 1) === 0,
    `${name} is ${value.toHumanString()}; write a whole number of ${unit}`,
  );
}

/** Throws where `value` is a deploy-time token. */
export function checkKnown(scope: Construct, name: string, value: Duration | undefined): void {
  check(
    scope,
    !value?.isUnresolved(),
    `${name} is known at the deployment only, as a CloudFormation parameter is, but other values follow from it; write a duration that is known at synth`,
  );
}

/** Throws where `resource` is known to be in another region or account than the stack of `scope`. */
export function checkPlace(scope: Construct, part: 'account' | 'region', name: string, resource: Pick<IResource, 'env'>, advice: string): void {
  const [there, here] = [resource.env[part], Stack.of(scope)[part]];
  check(
    scope,
    Token.isUnresolved(there) || Token.isUnresolved(here) || there === here,
    `${name} is in ${there}, and this stack in ${here}: ${advice}`,
  );
}

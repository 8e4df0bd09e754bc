import { Stack, Token } from 'aws-cdk-lib';
import { AccountRootPrincipal, AnyPrincipal, Effect, PolicyDocument, PolicyStatement } from 'aws-cdk-lib/aws-iam';
import { Construct } from 'constructs';
import { check } from './checks';
import { Cidr, contains, formatCidr, knownCidr, outermost, parseCidr, single } from './cidr';

// What the internet never routes: a public API sees the address of a caller's NAT gateway, and never one of these. Two
// more kinds are accepted anyway. Loopback lets nobody in on AWS, and a local emulator needs it. Documentation ranges
// (203.0.113.0/24 and
// others) let nobody in either, and examples and tests are written with them.
const NEVER_PUBLIC: [string, string][] = [
  ['reserved', '0.0.0.0/8'],
  ['private', '10.0.0.0/8'],
  ['private', '100.64.0.0/10'],
  ['private', '169.254.0.0/16'],
  ['private', '172.16.0.0/12'],
  ['reserved', '192.0.0.0/24'],
  ['private', '192.168.0.0/16'],
  ['reserved', '198.18.0.0/15'],
  ['multicast', '224.0.0.0/4'],
  ['reserved', '240.0.0.0/4'],
  ['private', 'fc00::/7'],
  ['private', 'fe80::/10'],
  ['multicast', 'ff00::/8'],
];
const MAPPED = knownCidr('::ffff:0.0.0.0/96');
const PUBLIC_IPV6 = knownCidr('2000::/3');
const LOOPBACK_IPV6 = knownCidr('::1/128');

// The largest blocks that one holder has: no caller's network is larger. Sixteen of them are more than all of AWS has.
const LARGEST: Record<number, number> = { 32: 8, 128: 16 };
const MOST_OF_THE_LARGEST = 16n;

/** The quota of a resource policy's length (API Gateway developer guide, "Quotas"). */
const POLICY_QUOTA = 8192;
/** In the stored policy each `execute-api:/` is an ARN of this API. */
const ARN_RESERVE = 3 * 'arn:aws-us-gov:execute-api:ap-southeast-1:111122223333:abcdefghij'.length;

const ASK_NAT = 'write the public address of the network, as its NAT gateway or a "what is my IP" page shows it';

/** Checks the ranges that may call an API, and returns them in canonical form, without those that another one contains. */
export function checkAllowList(scope: Construct, cidrs: string[]): string[] {
  check(
    scope,
    !Token.isUnresolved(cidrs) && !cidrs.some((cidr) => Token.isUnresolved(cidr)),
    'the allow-list has a value that is known at the deployment only, such as a CloudFormation parameter; API Gateway applies a changed list ' +
      'with a new deployment of the API, which CloudFormation does not make for such a change, so a removed range could still call: ' +
      'write the ranges, or read them before the synth (context, environment variable)',
  );
  check(scope, cidrs.length > 0, 'the allow-list is empty, so nobody could call the API; write one CIDR range or more');
  const ranges = outermost(cidrs.map((cidr) => checkCidr(scope, cidr)));
  checkTogether(scope, ranges);
  return ranges.map(formatCidr);
}

function checkCidr(scope: Construct, text: string): Cidr {
  const range = parseCidr(text);
  const problem = range === undefined ? 'is not a CIDR range; write it as 203.0.113.7/32 or 2001:db8::/56' : problemOf(range);
  check(scope, problem === undefined, `the allow-list's "${text}" ${problem}`);
  return range!;
}

function problemOf(range: Cidr): string | undefined {
  const { bits, prefix, address, first } = range;
  const largest = LARGEST[bits]!;
  if (prefix === 0) {
    return 'is the whole internet; name the ranges that callers come from';
  }
  const around = NEVER_PUBLIC.find(([, other]) => contains(knownCidr(other), range));
  if (around) {
    return `is in ${neverSeen(around)}`;
  }
  if (prefix < largest) {
    return `is larger than a /${largest}, the largest block that one network has; name the ranges that callers come from`;
  }
  if (address !== first) {
    return `has bits after its prefix; write ${formatCidr(range)} for the range, or ${formatCidr(single(range))} for the address`;
  }
  const within = NEVER_PUBLIC.find(([, other]) => contains(range, knownCidr(other)));
  return within ? `contains ${neverSeen(within)}` : problemOfIpv6(range);
}

function problemOfIpv6(range: Cidr): string | undefined {
  if (contains(MAPPED, range)) {
    return "is an IPv4 range in IPv6 notation, which no caller's address is compared with; write it as 203.0.113.7/32";
  }
  const isPublic = range.bits === 32 || contains(PUBLIC_IPV6, range) || contains(LOOPBACK_IPV6, range);
  return isPublic ? undefined : `is outside of 2000::/3, the public IPv6 addresses; ${ASK_NAT}`;
}

function neverSeen([kind, range]: [string, string]): string {
  return `the ${kind} range ${range}, which a public API never sees as a caller; ${ASK_NAT}`;
}

/** The whole internet can be written in pieces. */
function checkTogether(scope: Construct, ranges: Cidr[]): void {
  for (const bits of [32, 128]) {
    const most = MOST_OF_THE_LARGEST << BigInt(bits - LARGEST[bits]!);
    const all = ranges.filter((range) => range.bits === bits).reduce((sum, { first, last }) => sum + last - first + 1n, 0n);
    check(
      scope,
      all <= most,
      `the ${bits === 32 ? 'IPv4' : 'IPv6'} ranges of the allow-list are together larger than a /${LARGEST[bits]! - 4}, so it ` +
        'keeps hardly anyone out; name the ranges that callers come from',
    );
  }
}

/** One method that the policy lets through. */
export interface AllowedMethod {
  /** `GET`, `POST`, … */
  readonly httpMethod: string;
  /** Whether callers sign with IAM; then only identities of this account are let through. */
  readonly signed: boolean;
}

/**
 * The resource policy of an API that is closed except for `methods` of `path`, called from `cidrs`.
 *
 * The ranges are in the Deny only, which decides even if another statement allows a call. So the policy has room for three
 * times as many.
 *
 * With IAM authorization a statement for everyone would let in every AWS account that signs its calls. The account as principal
 * leaves it to this account's own policies who may call (API Gateway developer guide, "authorization flow").
 */
export function allowListPolicy(scope: Construct, cidrs: string[], stageName: string, path: string, methods: AllowedMethod[]): PolicyDocument {
  const fromElsewhere = { NotIpAddress: { 'aws:SourceIp': cidrs } };
  const deny = new PolicyStatement({
    sid: 'DenyFromElsewhere',
    effect: Effect.DENY,
    principals: [new AnyPrincipal()],
    actions: ['execute-api:Invoke'],
    resources: ['execute-api:/*'],
    conditions: fromElsewhere,
  });
  const allows = methods.map(
    ({ httpMethod, signed }) =>
      new PolicyStatement({
        sid: `Allow${signed ? 'Signed' : ''}${httpMethod[0]}${httpMethod.slice(1).toLowerCase()}`,
        effect: Effect.ALLOW,
        principals: [signed ? new AccountRootPrincipal() : new AnyPrincipal()],
        actions: ['execute-api:Invoke'],
        resources: [`execute-api:/${stageName}/${httpMethod}${path}`],
      }),
  );
  const policy = new PolicyDocument({ statements: [deny, ...allows] });
  checkLength(scope, policy, cidrs.length);
  return policy;
}

function checkLength(scope: Construct, policy: PolicyDocument, ranges: number): void {
  const length = JSON.stringify(Stack.of(scope).resolve(policy)).length + ARN_RESERVE;
  check(
    scope,
    length <= POLICY_QUOTA,
    `the allow-list's ${ranges} ranges make a policy of ${length} characters, and API Gateway takes ${POLICY_QUOTA}; write fewer and ` +
      'larger ranges, or let callers come through one NAT gateway',
  );
}

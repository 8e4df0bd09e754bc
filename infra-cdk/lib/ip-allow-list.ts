import * as net from 'node:net';
import { AccountRootPrincipal, AnyPrincipal, Effect, PolicyDocument, PolicyStatement } from 'aws-cdk-lib/aws-iam';
import { Construct } from 'constructs';
import { InvalidPropertyError, check } from './checks';

// What the internet never routes: a public API sees the address of a caller's NAT gateway, and never one of these.
const NEVER_PUBLIC: ReadonlyArray<readonly [string, number, 'ipv4' | 'ipv6']> = [
  ['10.0.0.0', 8, 'ipv4'],
  ['100.64.0.0', 10, 'ipv4'],
  ['169.254.0.0', 16, 'ipv4'],
  ['172.16.0.0', 12, 'ipv4'],
  ['192.168.0.0', 16, 'ipv4'],
  ['fc00::', 7, 'ipv6'],
  ['fe80::', 10, 'ipv6'],
];

/**
 * Checks the ranges that may call an API, and returns them without repetition.
 *
 * Refused are: no range at all, what is no CIDR notation, the whole internet, and private ranges, which a public API never
 * sees. Loopback passes: it lets nobody in on AWS, and a local emulator needs it.
 */
export function checkAllowList(scope: Construct, cidrs: readonly string[]): string[] {
  check(scope, cidrs.length > 0, 'the allow-list is empty, so that nobody could call the API; write one CIDR range or more');
  cidrs.forEach((cidr) => checkCidr(scope, cidr));
  return [...new Set(cidrs)];
}

function checkCidr(scope: Construct, cidr: string): void {
  const fail = (problem: string): never => {
    throw new InvalidPropertyError(scope, `the allow-list's "${cidr}" ${problem}`);
  };
  const match = /^([0-9a-fA-F:.]+)\/(\d{1,3})$/.exec(cidr);
  const address = match?.[1] ?? '';
  const version = net.isIP(address);
  const prefix = Number(match?.[2]);
  if (version === 0 || prefix > (version === 4 ? 32 : 128)) {
    fail('is no CIDR range; write it as 203.0.113.7/32 or 2001:db8::/56');
  }
  if (prefix === 0) {
    fail('is the whole internet; name the ranges that callers come from');
  }
  const family = version === 4 ? 'ipv4' : 'ipv6';
  const unreachable = NEVER_PUBLIC.find(([network, length, of]) => of === family && contains(network, length, address, family));
  if (unreachable) {
    fail(
      `lies in the private range ${unreachable[0]}/${unreachable[1]}, which a public API never sees as a caller; ` +
        'write the public address of the network, as its NAT gateway or a "what is my IP" page shows it',
    );
  }
}

function contains(network: string, length: number, address: string, family: 'ipv4' | 'ipv6'): boolean {
  const range = new net.BlockList();
  range.addSubnet(network, length, family);
  return range.check(address, family);
}

/** One method that the policy lets through. */
export interface AllowedMethod {
  /** `GET`, `POST`, … */
  readonly httpMethod: string;
  /** Whether callers sign with IAM; then only identities of this account are let through. */
  readonly signed: boolean;
}

/**
 * The resource policy of an API that is closed but for `methods` of `path`, called from `cidrs`.
 *
 * With IAM authorization a statement for everyone would let in every AWS account that signs its calls. The account as principal
 * leaves it to this account's own policies who may call (API Gateway developer guide, "authorization flow").
 */
export function allowListPolicy(
  cidrs: string[],
  stageName: string,
  path: string,
  methods: readonly AllowedMethod[],
): PolicyDocument {
  const fromElsewhere = { NotIpAddress: { 'aws:SourceIp': cidrs } };
  const fromTheList = { IpAddress: { 'aws:SourceIp': cidrs } };
  const statements = methods.map(
    ({ httpMethod, signed }) =>
      new PolicyStatement({
        sid: `Allow${signed ? 'Signed' : ''}${httpMethod[0]}${httpMethod.slice(1).toLowerCase()}FromTheAllowList`,
        effect: Effect.ALLOW,
        principals: [signed ? new AccountRootPrincipal() : new AnyPrincipal()],
        actions: ['execute-api:Invoke'],
        resources: [`execute-api:/${stageName}/${httpMethod}${path}`],
        conditions: fromTheList,
      }),
  );
  const deny = new PolicyStatement({
    sid: 'DenyFromElsewhere',
    effect: Effect.DENY,
    principals: [new AnyPrincipal()],
    actions: ['execute-api:Invoke'],
    resources: ['execute-api:/*'],
    conditions: fromElsewhere,
  });
  return new PolicyDocument({ statements: [deny, ...statements] });
}

import { CfnParameter, Duration, Stack } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { Code, Function, Runtime } from 'aws-cdk-lib/aws-lambda';
import { StringListParameter, StringParameter } from 'aws-cdk-lib/aws-ssm';
import { describe, expect, it } from 'vitest';
import { OnDemandApi } from '../lib';
import { BOOTSTRAP, newApp, resource } from './support';

/** A user's stack: an API for a function of its own. */
function newApi(allowedCidrs: string[] | ((stack: Stack) => string[])): Template {
  const stack = new Stack(newApp(), 'user');
  const code = Code.fromAsset(BOOTSTRAP);
  const handler = new Function(stack, 'Mine', { code, runtime: Runtime.PROVIDED_AL2023, handler: 'bootstrap', timeout: Duration.seconds(28) });
  const cidrs = typeof allowedCidrs === 'function' ? allowedCidrs(stack) : allowedCidrs;
  new OnDemandApi(stack, 'Api', { handler, allowedCidrs: cidrs });
  return Template.fromStack(stack);
}

const policyOf = (template: Template) => resource(template, 'AWS::ApiGateway::RestApi').Properties.Policy;
const listOf = (template: Template) => [policyOf(template).Statement[0].Condition.NotIpAddress['aws:SourceIp']].flat();
const addresses = (count: number) => Array.from({ length: count }, (_, n) => `198.${100 + (n >> 16)}.${(n >> 7) & 255}.${((n & 127) << 1) + 1}/32`);

describe('an allow-list', () => {
  it.each<[string[], RegExp]>([
    [[], /user\/Api: the allow-list is empty/],
    [['203.0.113.7'], /"203.0.113.7" is not a CIDR range; write it as 203.0.113.7\/32/],
    [['203.0.113.7/33'], /is not a CIDR range/],
    [['203.0.113.7/032'], /is not a CIDR range/],
    [['203.0.113.256/32'], /is not a CIDR range/],
    [['2001:db8::/129'], /is not a CIDR range/],
    [['example.com/32'], /is not a CIDR range/],
    [['0.0.0.0/0'], /is the whole internet/],
    [['::/0'], /is the whole internet/],
    [['0.0.0.0/1', '128.0.0.0/1'], /"0.0.0.0\/1" is larger than a \/8, the largest block that one network has; name the ranges/],
    [['8.0.0.0/5'], /is larger than a \/8/],
    [['2000::/3'], /"2000::\/3" is larger than a \/16/],
    [['203.0.113.7/24'], /has bits after its prefix; write 203.0.113.0\/24 for the range, or 203.0.113.7\/32 for the address/],
    [['2001:db8::1/56'], /has bits after its prefix; write 2001:db8::\/56 for the range, or 2001:db8::1\/128/],
    [['::ffff:10.0.0.1/128'], /is an IPv4 range in IPv6 notation, which no caller's address is compared with; write it as 203.0.113.7\/32/],
    [['::ffff:0:0/96'], /is an IPv4 range in IPv6 notation/],
    [['::/96'], /is outside of 2000::\/3, the public IPv6 addresses/],
    [['203.0.113.7/32', '10.0.0.1/32'], /"10.0.0.1\/32" is in the private range 10.0.0.0\/8/],
    [['172.0.0.0/8'], /"172.0.0.0\/8" contains the private range 172.16.0.0\/12/],
    [['0.0.0.0/8'], /is in the reserved range 0.0.0.0\/8/],
    [['224.0.0.1/32'], /is in the multicast range 224.0.0.0\/4/],
    [['255.255.255.255/32'], /is in the reserved range 240.0.0.0\/4/],
    [['ff02::1/128'], /is in the multicast range ff00::\/8/],
    [['fe80::1/128'], /is in the private range fe80::\/10/],
  ])('%j is refused', (allowedCidrs, message) => {
    expect(() => newApi(allowedCidrs)).toThrow(message);
  });

  it('of nearly everything in allowed pieces is refused', () => {
    const eighths = Array.from({ length: 17 }, (_, n) => `${11 + n}.0.0.0/8`);
    expect(listOf(newApi(eighths.slice(0, 16)))).toHaveLength(16);
    expect(() => newApi(eighths)).toThrow(/the IPv4 ranges of the allow-list are together larger than a \/4/);
    const sixteenths = Array.from({ length: 17 }, (_, n) => `26${n.toString(16).padStart(2, '0')}::/16`);
    expect(() => newApi(sixteenths)).toThrow(/the IPv6 ranges of the allow-list are together larger than a \/12/);
  });

  it.each([
    ['203.0.113.7/32', 'an address'],
    ['172.32.0.0/16', 'a range next to a private one'],
    ['54.0.0.0/8', 'the largest IPv4 block'],
    ['2001:db8::/56', 'an IPv6 range'],
    ['127.0.0.1/32', 'loopback, for a local emulator'],
    ['::1/128', 'loopback, for a local emulator'],
  ])('%s is taken: %s', (cidr) => {
    expect(listOf(newApi([cidr]))).toEqual([cidr]);
  });

  it('is written in canonical form, each range once, without those within another', () => {
    const written = ['203.0.113.0/24', '203.0.113.7/32', '2001:0DB8:0:0::/56', '2001:db8::/56', '203.0.113.0/24', '198.51.100.0/31'];
    expect(listOf(newApi(written))).toEqual(['203.0.113.0/24', '2001:db8::/56', '198.51.100.0/31']);
  });

  it('is in the policy once, and decides by the Deny', () => {
    const text = JSON.stringify(policyOf(newApi(['203.0.113.7/32'])));
    expect(text.match(/203\.0\.113\.7\/32/g)).toHaveLength(1);
    expect(policyOf(newApi(['203.0.113.7/32'])).Statement.map((s: any) => [s.Sid, s.Effect, Object.keys(s.Condition ?? {})])).toEqual([
      ['DenyFromElsewhere', 'Deny', ['NotIpAddress']],
      ['AllowGet', 'Allow', []],
      ['AllowSignedPost', 'Allow', []],
    ]);
  });

  it('has room for 300 addresses, and is refused when API Gateway would refuse it', () => {
    expect(JSON.stringify(policyOf(newApi(addresses(300)))).length).toBeLessThan(8192);
    expect(() => newApi(addresses(500))).toThrow(/the allow-list's 500 ranges make a policy of \d+ characters, and API Gateway takes 8192/);
  });

  it.each<[string, (stack: Stack) => string[]]>([
    ['a parameter', (stack) => [new CfnParameter(stack, 'Office').valueAsString]],
    ['a list parameter', (stack) => new CfnParameter(stack, 'Offices', { type: 'CommaDelimitedList' }).valueAsList],
    ['an SSM parameter', (stack) => [StringParameter.valueForStringParameter(stack, '/office')]],
    ['an SSM list', (stack) => StringListParameter.valueForTypedListParameter(stack, '/offices')],
  ])('that only the deployment knows is refused, since a change would not reach the stage: %s', (_, cidrs) => {
    expect(() => newApi(cidrs)).toThrow(/known at the deployment only.*so a removed range could still call: write the ranges, or read them before the synth/);
  });

  it('makes the API answer over IPv6 only where it names an IPv6 range', () => {
    const types = (cidr: string) => resource(newApi([cidr]), 'AWS::ApiGateway::RestApi').Properties.EndpointConfiguration.IpAddressType;
    expect([types('203.0.113.7/32'), types('2001:db8::/56')]).toEqual([undefined, 'dualstack']);
  });
});

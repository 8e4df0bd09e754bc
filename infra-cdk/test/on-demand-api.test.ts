import * as fs from 'node:fs';
import * as path from 'node:path';
import { Duration, Stack } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { Key } from 'aws-cdk-lib/aws-kms';
import { Code, Function, FunctionOptions, Runtime } from 'aws-cdk-lib/aws-lambda';
import { describe, expect, it } from 'vitest';
import { ApiAlarms, OnDemandApi, OnDemandApiProps } from '../lib';
import { BOOTSTRAP, newApp, referred, resource, resources } from './support';

/** A user's stack: an API for a function of its own, with the least that has to be said. */
function newApi(props: Partial<OnDemandApiProps> = {}): OnDemandApi {
  const stack = new Stack(newApp(), 'user');
  const code = Code.fromAsset(BOOTSTRAP);
  const handler = new Function(stack, 'Mine', { code, runtime: Runtime.PROVIDED_AL2023, handler: 'bootstrap', timeout: Duration.seconds(28) });
  return new OnDemandApi(stack, 'Api', { handler, allowedCidrs: ['203.0.113.7/32'], ...props });
}

const templateOf = (api: OnDemandApi) => Template.fromStack(Stack.of(api));
const maxItems = (api: OnDemandApi) => resource(templateOf(api), 'AWS::ApiGateway::Model').Properties.Schema.properties.Records.maxItems;

describe('an on-demand API of a user', () => {
  it('needs a function and an allow-list, and makes a key for its logs that CloudWatch Logs may use', () => {
    const template = templateOf(newApi());
    const keys = resources(template, 'AWS::KMS::Key');
    const [key] = Object.values(keys);
    expect(JSON.stringify(key!.Properties.KeyPolicy)).toContain('kms:EncryptionContext:aws:logs:arn');
    const groups = Object.entries(resources(template, 'AWS::Logs::LogGroup')).filter(([id]) => id.startsWith('Api'));
    expect(groups.map(([, { Properties }]) => referred(Properties.KmsKeyId))).toEqual([Object.keys(keys)[0], Object.keys(keys)[0]]);
  });

  it("lets CloudWatch Logs use a key of the user's app", () => {
    const stack = new Stack(newApp(), 'keys');
    const encryptionKey = new Key(stack, 'Mine');
    const code = Code.fromAsset(BOOTSTRAP);
    const handler = new Function(stack, 'Function', { code, runtime: Runtime.PROVIDED_AL2023, handler: 'bootstrap' });
    new OnDemandApi(stack, 'Api', { handler, allowedCidrs: ['203.0.113.7/32'], encryptionKey });
    const { KeyPolicy } = resource(Template.fromStack(stack), 'AWS::KMS::Key').Properties;
    expect(KeyPolicy.Statement.map(({ Sid }: any) => Sid)).toContain('EncryptLogGroupsOfThisAccount');
  });

  it.each<[FunctionOptions, RegExp]>([
    [{ timeout: Duration.minutes(1) }, /the handler's timeout is 1 minute, but API Gateway answers 504 after 29/],
    [{ reservedConcurrentExecutions: 100 }, /lets 200 requests through at once, but the handler has 100 concurrent executions/],
  ])('checks the function of an alias: %j', (options, message) => {
    const stack = new Stack(newApp(), 'alias');
    const code = Code.fromAsset(BOOTSTRAP);
    const handler = new Function(stack, 'Function', { code, runtime: Runtime.PROVIDED_AL2023, handler: 'bootstrap', ...options }).addAlias('live');
    expect(() => new OnDemandApi(stack, 'Api', { handler, allowedCidrs: ['203.0.113.7/32'] })).toThrow(message);
  });

  it('refuses TLS 1.0 and 1.1', () => {
    const { SecurityPolicy, EndpointAccessMode } = resource(templateOf(newApi()), 'AWS::ApiGateway::RestApi').Properties;
    expect([SecurityPolicy, EndpointAccessMode]).toEqual(['SecurityPolicy_TLS13_1_2_2021_06', 'BASIC']);
  });

  it('takes TLS 1.3 alone where that is asked for, by a new deployment', () => {
    const strict = templateOf(newApi({ securityPolicy: 'SecurityPolicy_TLS13_1_3_2025_09' }));
    expect(resource(strict, 'AWS::ApiGateway::RestApi').Properties.SecurityPolicy).toBe('SecurityPolicy_TLS13_1_3_2025_09');
    const deployments = [strict, templateOf(newApi())].map((template) => Object.keys(resources(template, 'AWS::ApiGateway::Deployment'))[0]);
    expect(deployments[0]).not.toBe(deployments[1]);
  });

  it('takes as many records as the function of the example', () => {
    const source = path.join(__dirname, '..', '..', 'examples', 'stream-processor', 'src', 'on_demand.rs');
    const [, most] = /const MAX_RECORDS: usize = ([\d_]+);/.exec(fs.readFileSync(source, 'utf8'))!;
    expect(maxItems(newApi())).toBe(Number(most!.replaceAll('_', '')));
    expect(maxItems(newApi({ maxRecords: 7 }))).toBe(7);
  });

  it.each<[Partial<OnDemandApiProps>, RegExp]>([
    [{ stageName: 'my stage' }, /^user\/Api: stageName is "my stage"; write 1 to 128 letters, digits, hyphens and underscores, like v1/],
    [{ stageName: '' }, /stageName is ""/],
    [{ securityPolicy: 'TLS_1_0' }, /securityPolicy is "TLS_1_0"; write one of API Gateway's for regional APIs, like SecurityPolicy_TLS13_1_2_2021_06/],
    [{ securityPolicy: 'SecurityPolicy_TLS13_2025_EDGE' }, /for regional APIs/],
    [{ maxRecords: 0 }, /maxRecords is 0; write a whole number of 1 to 10000/],
  ])('refuses %j', (props, message) => {
    expect(() => newApi(props)).toThrow(message);
  });
});

describe('alarms of an API', () => {
  it('have a switch, a threshold and a runbook each', () => {
    const api = newApi();
    const clientErrors = { threshold: 7, runbookUrl: 'https://wiki.example.com/api' };
    new ApiAlarms(Stack.of(api), 'Alarms', { api: api.api, clientErrors, serverErrors: { enabled: false } });
    const { Threshold, AlarmDescription } = resource(templateOf(api), 'AWS::CloudWatch::Alarm').Properties;
    expect(Threshold).toBe(7);
    expect(AlarmDescription).toMatch(/ Runbook: https:\/\/wiki\.example\.com\/api$/);
  });
});

import * as fs from 'node:fs';
import { App } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { beforeAll, describe, expect, it } from 'vitest';
import { ApiGatewayAccountStack } from '../lib';
import { REASONS } from '../scripts/iam-reasons';
import { Statement, statementsOf } from '../scripts/iam-statements';
import { IAM_PAGE, iamPage, reasonKey } from '../scripts/iam-table';
import { newDemo, processorTemplate, referred, resource } from './support';

let template: Template;
let statements: Statement[];

beforeAll(() => {
  template = Template.fromStack(newDemo());
  statements = statementsOf(template);
});

describe('least privilege', () => {
  it('gives every statement a reason, and no reason to a statement that is gone', () => {
    expect([...new Set(statements.map(reasonKey))].sort()).toEqual(Object.keys(REASONS).sort());
    expect(statements).toHaveLength(Object.keys(REASONS).length);
  });

  it('is written down in docs/iam.md as it is in the template (npm run iam)', () => {
    expect(fs.readFileSync(IAM_PAGE, 'utf8')).toBe(iamPage(template));
  });

  it('lets a role do nothing by wildcard, and on every resource only what X-Ray knows no resource for', () => {
    const ofRoles = statements.filter(({ holder }) => holder.endsWith('RoleDefaultPolicy'));
    expect(ofRoles.length).toBeGreaterThan(15);
    expect(ofRoles.filter(({ actions }) => actions.some((action) => action.includes('*')))).toEqual([]);
    const everywhere = ofRoles.filter(({ resources }) => resources.includes('*')).flatMap(({ actions }) => actions);
    expect(new Set(everywhere)).toEqual(new Set(['xray:PutTelemetryRecords', 'xray:PutTraceSegments']));
  });

  it('allows everyone nothing but GET, which the Deny limits to the allow-list', () => {
    const open = statements.filter(({ effect, principal }) => effect === 'Allow' && principal === '*');
    expect(open.map(({ sid }) => sid)).toEqual(['AllowGet']);
    const closed = statements.filter(({ effect, principal }) => effect === 'Deny' && principal === '*');
    expect(closed.map(({ sid }) => sid)).toContain('DenyFromElsewhere');
  });

  it('lets a role use the key through one service at a time', () => {
    const uses = statements.filter(({ holder, actions }) => holder.endsWith('RoleDefaultPolicy') && actions.some((a) => a.startsWith('kms:')));
    expect(uses.length).toBeGreaterThan(0);
    expect(uses.filter(({ conditions }) => !conditions.some((c) => c.startsWith('StringEquals kms:ViaService')))).toEqual([]);
  });

  it('gives the function no word on the table itself', () => {
    const onDynamo = statements.filter(({ effect, actions }) => effect === 'Allow' && actions.some((action) => action.startsWith('dynamodb:')));
    const ofStream = onDynamo.filter(({ resources }) => !resources.includes('ProcessorIdempotency.Arn'));
    expect(ofStream.map(({ resources }) => resources)).toEqual([['Table.StreamArn']]);
    expect(ofStream[0]!.actions).toEqual(['DescribeStream', 'GetRecords', 'GetShardIterator', 'ListStreams'].map((a) => `dynamodb:${a}`));
  });

  it("gives each function the four calls of the crate's store, on its own consumer's rows of one table", () => {
    const onRows = statements.filter(({ resources }) => resources.some((one) => one.startsWith('ProcessorIdempotency')));
    const { LAMBDA_STREAMS_CONSUMER } = resource(template, 'AWS::Lambda::Function', 'Processor').Properties.Environment.Variables;
    expect(onRows.map(({ holder }) => holder).sort()).toEqual(['OnDemandFunctionRoleDefaultPolicy', 'ProcessorFunctionRoleDefaultPolicy']);
    for (const { effect, actions, resources, conditions } of onRows) {
      expect([effect, resources]).toEqual(['Allow', ['ProcessorIdempotency.Arn']]);
      expect(actions).toEqual(['BatchGetItem', 'GetItem', 'PutItem', 'UpdateItem'].map((a) => `dynamodb:${a}`));
      expect(conditions).toEqual([`ForAllValues:StringLike dynamodb:LeadingKeys ${LAMBDA_STREAMS_CONSUMER}#*`]);
    }
  });

  it('keeps what callers post away from the dead letters', () => {
    const onDemand = statements.filter(({ holder }) => holder === 'OnDemandFunctionRoleDefaultPolicy');
    expect(onDemand.length).toBeGreaterThan(0);
    expect(onDemand.filter(({ resources }) => JSON.stringify(resources).includes('DeadLetters'))).toEqual([]);
  });

  it('asks for no redrive, no encryption and no idempotency table where there is none', () => {
    const sids = statementsOf(processorTemplate()).map(({ sid }) => sid);
    expect(sids).toContain('SendDeadLetters');
    expect(sids).not.toContain('TakeDeadLettersBack');
    expect(sids).not.toContain('DecryptTheStream');
    expect(sids).not.toContain('KeepWhatIsDone');
    expect(sids).not.toContain('DecryptWhatIsDone');
  });

  it('gives API Gateway the log role that its guide describes, in a stack of its own that keeps it when deleted', () => {
    const account = Template.fromStack(new ApiGatewayAccountStack(new App(), 'account'));
    const trust = statementsOf(account);
    expect(trust.map(({ principal, actions, conditions }) => [principal, actions, conditions])).toEqual([
      ['apigateway.amazonaws.com', ['sts:AssumeRole'], []],
    ]);
    const role = resource(account, 'AWS::IAM::Role');
    expect(JSON.stringify(role.Properties.ManagedPolicyArns)).toContain('service-role/AmazonAPIGatewayPushToCloudWatchLogs');
    const setting = resource(account, 'AWS::ApiGateway::Account');
    expect(referred(setting.Properties.CloudWatchRoleArn)).toMatch(/^Role/);
    expect([role.DeletionPolicy, setting.DeletionPolicy]).toEqual(['Retain', 'Retain']);
  });
});

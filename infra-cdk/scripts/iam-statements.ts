import { Template } from 'aws-cdk-lib/assertions';

/** One statement of a template's policies, with references written as logical ids. */
export interface Statement {
  /** The construct that carries the policy: its logical id without the hash. */
  readonly holder: string;
  readonly sid: string;
  readonly effect: string;
  readonly principal: string;
  readonly actions: readonly string[];
  readonly resources: readonly string[];
  readonly conditions: readonly string[];
}

const POLICIES: Record<string, string> = {
  'AWS::IAM::Role': 'AssumeRolePolicyDocument',
  'AWS::IAM::Policy': 'PolicyDocument',
  'AWS::KMS::Key': 'KeyPolicy',
  'AWS::SQS::QueuePolicy': 'PolicyDocument',
  'AWS::S3::BucketPolicy': 'PolicyDocument',
  'AWS::SNS::TopicPolicy': 'PolicyDocument',
  'AWS::ApiGateway::RestApi': 'Policy',
};

/** Every statement of every policy in a template: roles, keys, queues, buckets, topics, APIs, Lambda permissions. */
export function statementsOf(template: Template): Statement[] {
  return Object.entries(template.toJSON().Resources as Record<string, any>).flatMap(([id, { Type, Properties }]) => {
    const holder = shortId(id);
    if (Type === 'AWS::Lambda::Permission') {
      return [permission(holder, Properties)];
    }
    const document = POLICIES[Type] ? Properties?.[POLICIES[Type]!] : undefined;
    return list(document?.Statement).map((statement) => toStatement(holder, statement));
  });
}

function permission(holder: string, properties: any): Statement {
  return {
    holder,
    sid: '',
    effect: 'Allow',
    principal: properties.Principal,
    actions: [properties.Action],
    resources: [text(properties.FunctionName)],
    conditions: [`SourceArn ${text(properties.SourceArn)}`],
  };
}

function toStatement(holder: string, statement: any): Statement {
  return {
    holder,
    sid: statement.Sid ?? '',
    effect: statement.Effect,
    principal: statement.Principal === undefined ? '' : principal(statement.Principal),
    actions: list(statement.Action),
    resources: list(statement.Resource).map(text),
    conditions: Object.entries<Record<string, unknown>>(statement.Condition ?? {}).flatMap(([operator, keys]) =>
      Object.entries(keys).map(([key, value]) => `${operator} ${key} ${list(value).map(text).join(', ')}`),
    ),
  };
}

function principal(value: any): string {
  return typeof value === 'string' ? value : Object.values(value).flatMap(list).map(text).join(', ');
}

function list(value: any): any[] {
  return value === undefined ? [] : Array.isArray(value) ? value : [value];
}

function text(value: any): string {
  if (typeof value !== 'object') {
    return String(value);
  }
  if (value.Ref) {
    return value.Ref.startsWith('AWS::') ? `{${value.Ref.slice(5)}}` : shortId(value.Ref);
  }
  if (value['Fn::GetAtt']) {
    return value['Fn::GetAtt'].map((part: string, index: number) => (index === 0 ? shortId(part) : part)).join('.');
  }
  return value['Fn::Join'] ? value['Fn::Join'][1].map(text).join('') : JSON.stringify(value);
}

function shortId(logicalId: string): string {
  return logicalId.replace(/[0-9A-F]{8}(?![0-9a-z])/g, '');
}

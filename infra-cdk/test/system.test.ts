import { Template } from 'aws-cdk-lib/assertions';
import { Architecture, StartingPosition } from 'aws-cdk-lib/aws-lambda';
import { beforeAll, describe, expect, it } from 'vitest';
import { demoTemplate, newDemo, referred, resource, resources, streamMapping } from './support';

let demo: Template;
let production: Template;

beforeAll(() => {
  demo = demoTemplate();
  production = demoTemplate({ production: true, alarmEmail: 'ops@example.com' });
});

describe('table', () => {
  it('has id and timestamp as its key, is paid on demand, streams both images, and can be restored to any second', () => {
    demo.hasResourceProperties('AWS::DynamoDB::Table', {
      KeySchema: [
        { AttributeName: 'id', KeyType: 'HASH' },
        { AttributeName: 'timestamp', KeyType: 'RANGE' },
      ],
      AttributeDefinitions: [
        { AttributeName: 'id', AttributeType: 'S' },
        { AttributeName: 'timestamp', AttributeType: 'N' },
        { AttributeName: 'status', AttributeType: 'S' },
      ],
      BillingMode: 'PAY_PER_REQUEST',
      StreamSpecification: { StreamViewType: 'NEW_AND_OLD_IMAGES' },
      PointInTimeRecoverySpecification: { PointInTimeRecoveryEnabled: true },
    });
  });

  it('is encrypted with the stack key', () => {
    const { SSESpecification } = resource(demo, 'AWS::DynamoDB::Table', 'Table').Properties;
    expect(SSESpecification).toMatchObject({ SSEEnabled: true, SSEType: 'KMS' });
    expect(resources(demo, 'AWS::KMS::Key')).toHaveProperty(referred(SSESpecification.KMSMasterKeyId));
  });

  it('has the index status-timestamp-index over all attributes', () => {
    expect(resource(demo, 'AWS::DynamoDB::Table', 'Table').Properties.GlobalSecondaryIndexes).toEqual([
      {
        IndexName: 'status-timestamp-index',
        KeySchema: [
          { AttributeName: 'status', KeyType: 'HASH' },
          { AttributeName: 'timestamp', KeyType: 'RANGE' },
        ],
        Projection: { ProjectionType: 'ALL' },
      },
    ]);
  });

  it('is kept and protected in production, and goes with the stack in development, as the idempotency table does', () => {
    const kept = (template: Template) =>
      Object.values(resources(template, 'AWS::DynamoDB::Table')).map((r) => [r.DeletionPolicy, r.Properties.DeletionProtectionEnabled]);
    expect(kept(production)).toEqual([['Retain', true], ['Retain', true]]);
    expect(kept(demo)).toEqual([['Delete', false], ['Delete', false]]);
  });

  it.each(['AWS::KMS::Key', 'AWS::SQS::Queue', 'AWS::S3::Bucket', 'AWS::Logs::LogGroup'])(
    'takes every %s with it by the same switch',
    (type) => {
      const policies = (template: Template) => new Set(Object.values(resources(template, type)).map((r) => r.DeletionPolicy));
      expect(policies(production)).toEqual(new Set(['RetainExceptOnCreate']));
      expect(policies(demo)).toEqual(new Set(['Delete']));
    },
  );
});

describe('dead-letter queue', () => {
  it('keeps messages for 14 days, invisible for six times the timeout of the function, encrypted', () => {
    const { Timeout } = resource(demo, 'AWS::Lambda::Function', 'Processor').Properties;
    const queue = resource(demo, 'AWS::SQS::Queue', 'DeadLetters').Properties;
    expect(queue.MessageRetentionPeriod).toBe(14 * 24 * 3600);
    expect(queue.VisibilityTimeout).toBeGreaterThanOrEqual(6 * Timeout);
    expect(resources(demo, 'AWS::KMS::Key')).toHaveProperty(referred(queue.KmsMasterKeyId));
  });

  it('is encrypted with a key that rotates', () => {
    demo.allResourcesProperties('AWS::KMS::Key', { EnableKeyRotation: true });
  });

  it('refuses plain HTTP, like every other queue', () => {
    const denies = Object.values(resources(demo, 'AWS::SQS::QueuePolicy')).flatMap(({ Properties }) =>
      Properties.PolicyDocument.Statement.filter(
        (s: any) => s.Effect === 'Deny' && s.Action === 'sqs:*' && s.Condition.Bool['aws:SecureTransport'] === 'false',
      ).map((s: any) => referred(s.Resource)),
    );
    expect(denies.sort()).toEqual(Object.keys(resources(demo, 'AWS::SQS::Queue')).sort());
  });
});

describe('idempotency table', () => {
  it('keeps what is done by key, until its rows expire, encrypted with the stack key', () => {
    const { Properties } = resource(demo, 'AWS::DynamoDB::Table', 'Idempotency');
    expect(Properties).toMatchObject({
      KeySchema: [{ AttributeName: 'key', KeyType: 'HASH' }],
      AttributeDefinitions: [{ AttributeName: 'key', AttributeType: 'S' }],
      TimeToLiveSpecification: { AttributeName: 'expires', Enabled: true },
      BillingMode: 'PAY_PER_REQUEST',
      PointInTimeRecoverySpecification: { PointInTimeRecoveryEnabled: true },
      SSESpecification: { SSEEnabled: true, SSEType: 'KMS' },
    });
    expect(Properties).not.toHaveProperty('StreamSpecification');
    expect(resources(demo, 'AWS::KMS::Key')).toHaveProperty(referred(Properties.SSESpecification.KMSMasterKeyId));
  });

  it('is told to every function, by the name of one consumer', () => {
    const told = Object.values(resources(demo, 'AWS::Lambda::Function')).map(({ Properties }) => Properties.Environment.Variables);
    expect(told).toHaveLength(2);
    const { POWERTOOLS_SERVICE_NAME } = resource(demo, 'AWS::Lambda::Function', 'Processor').Properties.Environment.Variables;
    for (const { LAMBDA_STREAMS_IDEMPOTENCY_TABLE, LAMBDA_STREAMS_CONSUMER } of told) {
      expect(referred(LAMBDA_STREAMS_IDEMPOTENCY_TABLE)).toContain('ProcessorIdempotency');
      expect(LAMBDA_STREAMS_CONSUMER).toBe(POWERTOOLS_SERVICE_NAME);
    }
  });

  it('is invoked for by the stream and by the redrive, which are one function', () => {
    const targets = Object.values(resources(demo, 'AWS::Lambda::EventSourceMapping')).map(({ Properties }) => referred(Properties.FunctionName));
    expect(targets).toHaveLength(2);
    expect(new Set(targets).size).toBe(1);
  });

  it('is left out where that is asked for, with all that belongs to it', () => {
    const template = demoTemplate({ idempotency: false });
    template.resourceCountIs('AWS::DynamoDB::Table', 1);
    const traces = /[Ii]dempotency|LAMBDA_STREAMS_CONSUMER|WhatIsDone|Mark[A-Z]|[Aa]lready ?[Dd]one/;
    expect(JSON.stringify(template.toJSON()).match(traces)).toBeNull();
  });
});

describe('function', () => {
  it('is arm64 on provided.al2023, 1024 MB, with reserved concurrency, traces and JSON logs', () => {
    const { Properties } = resource(demo, 'AWS::Lambda::Function', 'Processor');
    expect(Properties).toMatchObject({
      Runtime: 'provided.al2023',
      Handler: 'bootstrap',
      Architectures: ['arm64'],
      MemorySize: 1024,
      Timeout: 60,
      ReservedConcurrentExecutions: 100,
      TracingConfig: { Mode: 'Active' },
      LoggingConfig: { LogFormat: 'JSON', ApplicationLogLevel: 'INFO' },
    });
  });

  it('is x86_64 where that is asked for', () => {
    demoTemplate({ architecture: Architecture.X86_64 }).allResourcesProperties('AWS::Lambda::Function', {
      Architectures: ['x86_64'],
    });
  });

  it('is told its queue, table, limits and metrics by the variables that it reads', () => {
    const { Variables } = resource(demo, 'AWS::Lambda::Function', 'Processor').Properties.Environment;
    expect(resource(demo, 'AWS::SQS::Queue', 'DeadLetters')).toBeDefined();
    expect(referred(Variables.DLQ_URL)).toContain('DeadLetters');
    expect(resources(demo, 'AWS::DynamoDB::Table')).toHaveProperty(referred(Variables.TABLE_NAME));
    expect(Variables).toMatchObject({
      LAMBDA_STREAMS_LOG_LEVEL: 'info',
      LAMBDA_STREAMS_CONCURRENCY: '10',
      LAMBDA_STREAMS_MAX_ATTEMPTS: '3',
      LAMBDA_STREAMS_RETRY_BASE_MS: '100',
      LAMBDA_STREAMS_RETRY_MAX_MS: '2000',
      LAMBDA_STREAMS_HANDLER_TIMEOUT_MS: '15000',
      LAMBDA_STREAMS_GIVE_UP_AFTER_SECONDS: '21600',
      LAMBDA_STREAMS_REPORT_BATCH_ITEM_FAILURES: 'true',
      POWERTOOLS_METRICS_NAMESPACE: 'LambdaStreams',
      GLIBC_TUNABLES: expect.stringMatching(/^glibc\.malloc\.mmap_threshold=\d+:glibc\.malloc\.trim_threshold=\d+$/),
    });
    expect(Variables.POWERTOOLS_SERVICE_NAME).toMatch(/^\S{1,64}$/);
  });

  it('retries asynchronous invocations twice within six hours, and hands failed ones to a queue of their own', () => {
    const configs = Object.values(resources(demo, 'AWS::Lambda::EventInvokeConfig'));
    expect(configs).toHaveLength(2);
    for (const { Properties } of configs) {
      expect(Properties).toMatchObject({ MaximumRetryAttempts: 2, MaximumEventAgeInSeconds: 21_600 });
      expect(referred(Properties.DestinationConfig.OnFailure.Destination)).toContain('FailedInvocations');
    }
  });

  it('runs as a role of its own, without a managed policy', () => {
    const roles = resources(demo, 'AWS::IAM::Role');
    for (const fn of Object.values(resources(demo, 'AWS::Lambda::Function'))) {
      expect(roles).toHaveProperty(referred(fn.Properties.Role));
    }
    expect(Object.values(roles).filter(({ Properties }) => Properties.ManagedPolicyArns)).toEqual([]);
  });
});

describe('event source', () => {
  it('reads the table with the documented settings', () => {
    expect(streamMapping(demo).Properties).toMatchObject({
      BatchSize: 100,
      MaximumBatchingWindowInSeconds: 5,
      BisectBatchOnFunctionError: true,
      ParallelizationFactor: 10,
      MaximumRecordAgeInSeconds: 12 * 3600,
      FunctionResponseTypes: ['ReportBatchItemFailures'],
      StartingPosition: 'LATEST',
      Enabled: true,
    });
    const source = streamMapping(demo).Properties.EventSourceArn;
    expect(source['Fn::GetAtt'][1]).toBe('StreamArn');
  });

  it('retries until the record age ends it, so the template has no limit', () => {
    expect(streamMapping(demo).Properties).not.toHaveProperty('MaximumRetryAttempts');
  });

  it('hands discarded batches, records included, to an encrypted and private bucket', () => {
    const destination = referred(streamMapping(demo).Properties.DestinationConfig.OnFailure.Destination);
    expect(resources(demo, 'AWS::S3::Bucket')[destination]!.Properties).toMatchObject({
      BucketEncryption: {
        ServerSideEncryptionConfiguration: [{ ServerSideEncryptionByDefault: { SSEAlgorithm: 'aws:kms' } }],
      },
      PublicAccessBlockConfiguration: {
        BlockPublicAcls: true,
        BlockPublicPolicy: true,
        IgnorePublicAcls: true,
        RestrictPublicBuckets: true,
      },
      LifecycleConfiguration: { Rules: [{ ExpirationInDays: 30, Status: 'Enabled' }] },
    });
  });

  it('starts at the trim horizon by choice', () => {
    const template = demoTemplate({ startingPosition: StartingPosition.TRIM_HORIZON });
    expect(streamMapping(template).Properties.StartingPosition).toBe('TRIM_HORIZON');
  });
});

describe('API', () => {
  it('is a regional REST API that proxies GET and POST /process to the function', () => {
    demo.hasResourceProperties('AWS::ApiGateway::RestApi', { EndpointConfiguration: { Types: ['REGIONAL'] } });
    const methods = Object.values(resources(demo, 'AWS::ApiGateway::Method')).map(({ Properties }) => Properties);
    expect(methods.map(({ HttpMethod }) => HttpMethod).sort()).toEqual(['GET', 'POST']);
    for (const { Integration, ApiKeyRequired } of methods) {
      expect(Integration).toMatchObject({ Type: 'AWS_PROXY', IntegrationHttpMethod: 'POST', TimeoutInMillis: 29_000 });
      expect(ApiKeyRequired).toBe(true);
    }
  });

  it('asks the mutating method for an IAM signature', () => {
    demo.hasResourceProperties('AWS::ApiGateway::Method', { HttpMethod: 'POST', AuthorizationType: 'AWS_IAM' });
  });

  it('limits a key to 100 requests a second, 200 at once and 10,000 a day', () => {
    demo.hasResourceProperties('AWS::ApiGateway::UsagePlan', {
      Throttle: { RateLimit: 100, BurstLimit: 200 },
      Quota: { Limit: 10_000, Period: 'DAY' },
    });
    demo.resourceCountIs('AWS::ApiGateway::UsagePlanKey', 1);
  });

  it('names the API after its stack, since its alarms and graphs find it by its name alone', () => {
    const names = ['lambda-streams-dev', 'lambda-streams-prod'].map((id) => {
      const template = Template.fromStack(newDemo({}, id));
      const { Name } = resource(template, 'AWS::ApiGateway::RestApi').Properties;
      expect(JSON.stringify(resource(template, 'AWS::CloudWatch::Alarm', 'ServerErrors').Properties)).toContain(Name);
      return Name;
    });
    expect(new Set(names).size).toBe(2);
  });

  it('throttles the stage below the concurrency of its function', () => {
    const { ReservedConcurrentExecutions } = resource(demo, 'AWS::Lambda::Function', 'OnDemand').Properties;
    const settings: any[] = resource(demo, 'AWS::ApiGateway::Stage').Properties.MethodSettings;
    expect(settings.length).toBeGreaterThan(0);
    for (const { ThrottlingBurstLimit } of settings) {
      expect(ThrottlingBurstLimit).toBeLessThan(ReservedConcurrentExecutions);
    }
  });

  it('compresses answers, traces, and logs accesses as JSON without bodies', () => {
    demo.hasResourceProperties('AWS::ApiGateway::RestApi', { MinimumCompressionSize: 1024 });
    const stage = resource(demo, 'AWS::ApiGateway::Stage').Properties;
    expect(stage.TracingEnabled).toBe(true);
    expect(JSON.stringify(stage.AccessLogSetting.DestinationArn)).toContain('AccessLogs');
    const fields = JSON.parse(stage.AccessLogSetting.Format) as Record<string, string>;
    expect(Object.keys(fields)).toContain('requestId');
    expect(Object.values(fields).filter((value) => /body|apiKey$/i.test(value))).toEqual([]);
  });
});

describe('IP allow-list', () => {
  it('denies everyone from elsewhere, and allows nothing but the two methods', () => {
    const template = demoTemplate({ allowedCidrs: ['203.0.113.7/32', '198.51.100.0/24'] });
    const { Statement } = resource(template, 'AWS::ApiGateway::RestApi').Properties.Policy;
    const cidrs = ['203.0.113.7/32', '198.51.100.0/24'];
    expect(Statement).toHaveLength(3);
    expect(Statement[0]).toMatchObject({
      Effect: 'Deny',
      Principal: { AWS: '*' },
      Resource: 'execute-api:/*',
      Condition: { NotIpAddress: { 'aws:SourceIp': cidrs } },
    });
    expect(Statement.slice(1).map((s: any) => [s.Effect, s.Resource, s.Condition])).toEqual([
      ['Allow', 'execute-api:/v1/GET/process', undefined],
      ['Allow', 'execute-api:/v1/POST/process', undefined],
    ]);
  });

  it('lets only identities of this account sign', () => {
    const { Statement } = resource(demo, 'AWS::ApiGateway::RestApi').Properties.Policy;
    const post = Statement.find((s: any) => s.Resource.includes('/POST/'));
    expect(JSON.stringify(post.Principal)).toContain(':root');
  });

  it('reaches the stage: another allow-list is another deployment', () => {
    const deployments = (cidr: string) =>
      Object.keys(resources(demoTemplate({ allowedCidrs: [cidr] }), 'AWS::ApiGateway::Deployment'));
    expect(deployments('203.0.113.7/32')).toEqual(deployments('203.0.113.7/32'));
    expect(deployments('203.0.113.7/32')).not.toEqual(deployments('203.0.113.8/32'));
  });
});

describe('cache', () => {
  it('holds 0.5 GB for five minutes, encrypted, on GET /process only', () => {
    const { CacheClusterEnabled, CacheClusterSize, MethodSettings } = resource(demo, 'AWS::ApiGateway::Stage').Properties;
    expect([CacheClusterEnabled, CacheClusterSize]).toEqual([true, '0.5']);
    const cached = MethodSettings.filter((setting: any) => setting.CachingEnabled);
    expect(cached).toHaveLength(1);
    expect(cached[0]).toMatchObject({
      HttpMethod: 'GET',
      ResourcePath: '/~1process',
      CacheTtlInSeconds: 300,
      CacheDataEncrypted: true,
    });
  });

  it('costs nothing where it is turned off', () => {
    const stage = resource(demoTemplate({ apiCache: false }), 'AWS::ApiGateway::Stage').Properties;
    expect(stage.CacheClusterEnabled).toBe(false);
    expect(stage.MethodSettings.some((setting: any) => setting.CachingEnabled)).toBe(false);
  });
});

describe('logs', () => {
  it('go to one group per function and API log, kept for a month, encrypted', () => {
    const groups = Object.values(resources(demo, 'AWS::Logs::LogGroup'));
    expect(groups).toHaveLength(4);
    for (const { Properties } of groups) {
      expect(Properties.RetentionInDays).toBe(30);
      expect(resources(demo, 'AWS::KMS::Key')).toHaveProperty(referred(Properties.KmsKeyId));
    }
    const used = Object.values(resources(demo, 'AWS::Lambda::Function')).map(({ Properties }) =>
      referred(Properties.LoggingConfig.LogGroup),
    );
    expect(new Set(used).size).toBe(2);
  });
});

describe('alarms and dashboard', () => {
  it.each([
    ['DeadLettersWaiting', 'AWS/SQS', 'ApproximateNumberOfMessagesVisible', 1],
    ['DeadLettersExpiring', 'AWS/SQS', 'ApproximateAgeOfOldestMessage', 12 * 24 * 3600],
    ['FailedInvocationsWaiting', 'AWS/SQS', 'ApproximateNumberOfMessagesVisible', 1],
    ['RedriveStuck', 'AWS/SQS', 'ApproximateAgeOfOldestMessage', 3600],
    ['BatchesDiscarded', 'AWS/Lambda', 'OnFailureDestinationDeliveredEventCount', 1],
    ['RecordsDropped', 'AWS/Lambda', 'DroppedEventCount', 1],
    ['DestinationDeliveryFailures', 'AWS/Lambda', 'DestinationDeliveryFailures', 1],
    ['FunctionErrors', 'AWS/Lambda', 'Errors', 1],
    ['FunctionThrottles', 'AWS/Lambda', 'Throttles', 1],
    ['IteratorAge', 'AWS/Lambda', 'IteratorAge', 300_000],
    ['DurationNearTimeout', 'AWS/Lambda', 'Duration', 48_000],
    ['DeadLetterSendFailures', 'LambdaStreams', 'DeadLetterSendFailures', 1],
    ['DeadlineStops', 'LambdaStreams', 'DeadlineStops', 1],
    ['MarkFailures', 'LambdaStreams', 'MarkFailures', 1],
    ['MarkRegressions', 'LambdaStreams', 'MarkRegressions', 1],
    ['ClientErrors', 'AWS/ApiGateway', '4XXError', 50],
    ['ServerErrors', 'AWS/ApiGateway', '5XXError', 1],
  ])('%s goes off by %s %s at %d', (id, namespace, metric, threshold) => {
    expect(resource(demo, 'AWS::CloudWatch::Alarm', id).Properties).toMatchObject({
      Namespace: namespace,
      MetricName: metric,
      Threshold: threshold,
      ComparisonOperator: 'GreaterThanOrEqualToThreshold',
      TreatMissingData: 'notBreaching',
    });
  });

  it('MappingStopped goes off when no poll is counted for 15 minutes, for which there is no value at all', () => {
    const { Dimensions, ...properties } = resource(demo, 'AWS::CloudWatch::Alarm', 'MappingStopped').Properties;
    expect(properties).toMatchObject({
      Namespace: 'AWS/Lambda',
      MetricName: 'PolledEventCount',
      Statistic: 'SampleCount',
      Period: 300,
      EvaluationPeriods: 3,
      Threshold: 1,
      ComparisonOperator: 'LessThanThreshold',
      TreatMissingData: 'breaching',
    });
    expect(Dimensions.map(({ Name }: any) => Name)).toEqual(['EventSourceMappingUUID']);
    expect(referred(Dimensions[0].Value)).toContain('ProcessorMapping');
    expect(streamMapping(demo).Properties.MetricsConfig.Metrics).toContain('EventCount');
  });

  it('have no other alarm; each one tells the topic when it goes off and when it is over', () => {
    const alarms = Object.values(resources(demo, 'AWS::CloudWatch::Alarm'));
    expect(alarms).toHaveLength(18);
    for (const { Properties } of alarms) {
      for (const actions of [Properties.AlarmActions, Properties.OKActions]) {
        expect(resources(demo, 'AWS::SNS::Topic')).toHaveProperty(referred(actions[0]));
      }
    }
  });

  it('watch the queues that they are named after', () => {
    const queueOf = (id: string) => resource(demo, 'AWS::CloudWatch::Alarm', id).Properties.Dimensions[0].Value['Fn::GetAtt'][0];
    expect(queueOf('DeadLettersExpiring')).toContain('ProcessorDeadLetters');
    expect(queueOf('RedriveStuck')).toContain('ProcessorRedriveQueue');
  });

  it('reads the metrics of the service that the function writes them as', () => {
    const { Variables } = resource(demo, 'AWS::Lambda::Function', 'Processor').Properties.Environment;
    const { Dimensions } = resource(demo, 'AWS::CloudWatch::Alarm', 'DeadlineStops').Properties;
    expect(Dimensions).toEqual([{ Name: 'service', Value: Variables.POWERTOOLS_SERVICE_NAME }]);
  });

  it('mails alarms to the address that is given, and to no address without one', () => {
    production.hasResourceProperties('AWS::SNS::Subscription', { Protocol: 'email', Endpoint: 'ops@example.com' });
    demo.resourceCountIs('AWS::SNS::Subscription', 0);
  });

  it('lets CloudWatch publish to the encrypted topic, which a TLS-only policy alone would not', () => {
    const { Statement } = resource(demo, 'AWS::SNS::TopicPolicy').Properties.PolicyDocument;
    expect(Statement.some((s: any) => s.Effect === 'Allow' && s.Principal?.Service === 'cloudwatch.amazonaws.com')).toBe(true);
    const key = resource(demo, 'AWS::KMS::Key').Properties.KeyPolicy.Statement;
    expect(key.some((s: any) => s.Principal?.Service === 'cloudwatch.amazonaws.com')).toBe(true);
  });

  it('shows one dashboard in the order of the way that a change takes', () => {
    const body = JSON.stringify(resource(demo, 'AWS::CloudWatch::Dashboard').Properties.DashboardBody);
    const rows = [...body.matchAll(/## (\d)\. ([A-Za-z -]+)/g)].map(([, number, title]) => `${number} ${title!.trim()}`);
    expect(rows).toEqual([
      '1 The table',
      '2 The stream and its event source mapping',
      '3 The function',
      '4 The records',
      '5 What is already done',
      '6 What failed for good',
      '7 The on-demand API',
    ]);
  });
});

describe('outputs', () => {
  it.each(['TableName', 'StreamArn', 'ApiEndpoint', 'ApiKeyId', 'DeadLetterQueueUrl', 'FunctionName', 'MappingId', 'IdempotencyTableName'])(
    'have %s, with a description',
    (name) => {
      const output = demo.findOutputs(name)[name]!;
      expect(output.Value).toBeDefined();
      expect(output.Description.length).toBeGreaterThan(5);
    },
  );

  it('have nothing that is not said on purpose', () => {
    expect(Object.keys(demo.findOutputs('*')).filter((name) => /[0-9A-F]{8}$/.test(name))).toEqual([]);
  });
});

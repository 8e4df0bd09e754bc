import { Duration, RemovalPolicy, Stack } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { AttributeType, StreamViewType, TableEncryptionV2, TableV2 } from 'aws-cdk-lib/aws-dynamodb';
import { SecurityGroup, Vpc } from 'aws-cdk-lib/aws-ec2';
import { Key } from 'aws-cdk-lib/aws-kms';
import { Alias, Architecture, CapacityProvider, Code, FilterCriteria, FilterRule, Function, Runtime, StartingPosition } from 'aws-cdk-lib/aws-lambda';
import { RetentionDays } from 'aws-cdk-lib/aws-logs';
import { Queue } from 'aws-cdk-lib/aws-sqs';
import { beforeAll, describe, expect, it } from 'vitest';
import { FailureDestination, LogLevel, ProcessorCode, StreamProcessor, StreamProcessorProps } from '../lib';
import { statementsOf } from '../scripts/iam-statements';
import { BOOTSTRAP, newApp, newTable, processorTemplate, referred, resource, resources, streamMapping } from './support';
import { differences } from './template-diff';

let plain: Template;

beforeAll(() => {
  plain = processorTemplate();
});

const mapping = (property: string) => `Lambda::EventSourceMapping(ProcessorMapping)/${property}`;
const fn = (property: string) => `Lambda::Function(ProcessorFunction)/${property}`;
const variable = (name: string) => fn(`Environment/Variables/${name}`);
const alarm = (id: string, property: string) => `CloudWatch::Alarm(ProcessorAlarms${id})/${property}`;

describe('a property changes what it says and nothing else', () => {
  it.each<[string, Partial<StreamProcessorProps>, string[]]>([
    ['batchSize', { mapping: { batchSize: 7 } }, [mapping('BatchSize')]],
    ['batchingWindow', { mapping: { batchingWindow: Duration.seconds(0) } }, [mapping('MaximumBatchingWindowInSeconds')]],
    ['parallelizationFactor', { mapping: { parallelizationFactor: 1 } }, [mapping('ParallelizationFactor')]],
    ['maxRecordAge', { mapping: { maxRecordAge: Duration.hours(20) } }, [mapping('MaximumRecordAgeInSeconds')]],
    ['retryAttempts', { mapping: { retryAttempts: 3 } }, [mapping('MaximumRetryAttempts')]],
    ['bisectBatchOnError', { mapping: { bisectBatchOnError: false } }, [mapping('BisectBatchOnFunctionError')]],
    ['startingPosition', { mapping: { startingPosition: StartingPosition.TRIM_HORIZON } }, [mapping('StartingPosition')]],
    ['enabled', { mapping: { enabled: false } }, [mapping('Enabled'), '- CloudWatch::Alarm(ProcessorAlarmsMappingStopped)']],
    ['filters', { mapping: { filters: [FilterCriteria.filter({ eventName: FilterRule.isEqual('REMOVE') })] } }, [mapping('FilterCriteria')]],
    ['concurrency', { settings: { concurrency: 64 } }, [variable('CONCURRENCY')]],
    ['maxAttempts', { settings: { maxAttempts: 5 } }, [variable('MAX_ATTEMPTS')]],
    ['retryBase', { settings: { retryBase: Duration.millis(50) } }, [variable('RETRY_BASE_MS')]],
    ['retryMax', { settings: { retryMax: Duration.seconds(9) } }, [variable('RETRY_MAX_MS')]],
    ['handlerTimeout', { settings: { handlerTimeout: Duration.seconds(5) } }, [variable('HANDLER_TIMEOUT_MS')]],
    ['giveUpAfter', { settings: { giveUpAfter: Duration.hours(1) } }, [variable('GIVE_UP_AFTER_SECONDS')]],
    ['logLevel warn', { settings: { logLevel: LogLevel.WARN } }, [variable('LOG_LEVEL')]],
    ['logLevel debug', { settings: { logLevel: LogLevel.DEBUG } }, [variable('LOG_LEVEL'), fn('LoggingConfig/ApplicationLogLevel')]],
    ['architecture', { functionOptions: { architecture: Architecture.X86_64 } }, [fn('Architectures')]],
    ['memorySize', { functionOptions: { memorySize: 512 } }, [fn('MemorySize')]],
    ['reservedConcurrency', { functionOptions: { reservedConcurrency: 7 } }, [fn('ReservedConcurrentExecutions')]],
    ['no reservedConcurrency', { functionOptions: { reservedConcurrency: 0 } }, [fn('ReservedConcurrentExecutions')]],
    ['environment', { functionOptions: { environment: { REGION_OF_THE_ARCHIVE: 'north' } } }, [variable('REGION_OF_THE_ARCHIVE')]],
    ['other tunables', { functionOptions: { environment: { GLIBC_TUNABLES: 'glibc.malloc.check=0' } } }, [variable('GLIBC_TUNABLES')]],
    ['logRetention', { functionOptions: { logRetention: RetentionDays.ONE_DAY } }, ['Logs::LogGroup(ProcessorFunctionLogs)/RetentionInDays']],
    [
      'timeout',
      { functionOptions: { timeout: Duration.seconds(90) } },
      [
        alarm('DurationNearTimeout', 'Threshold'),
        variable('HANDLER_TIMEOUT_MS'),
        fn('Timeout'),
        'SQS::Queue(ProcessorDeadLetters)/VisibilityTimeout',
        'SQS::Queue(ProcessorFailedInvocations)/VisibilityTimeout',
      ],
    ],
    [
      'metricsNamespace',
      { metricsNamespace: 'Shop' },
      [alarm('DeadLetterSendFailures', 'Namespace'), alarm('DeadlineStops', 'Namespace'), variable('POWERTOOLS_METRICS_NAMESPACE')],
    ],
    [
      'serviceName',
      { serviceName: 'orders' },
      [alarm('DeadLetterSendFailures', 'Dimensions'), alarm('DeadlineStops', 'Dimensions'), variable('POWERTOOLS_SERVICE_NAME')],
    ],
    [
      'redrive',
      { redrive: true },
      [
        '+ Lambda::EventSourceMapping(ProcessorRedriveMapping)',
        '+ SQS::Queue(ProcessorRedriveQueue)',
        '+ SQS::QueuePolicy(ProcessorRedriveQueuePolicy)',
        '+ CloudWatch::Alarm(ProcessorAlarmsRedriveStuck)',
        'IAM::Policy(ProcessorFunctionRoleDefaultPolicy)/PolicyDocument/Statement',
      ],
    ],
    [
      'removalPolicy',
      { removalPolicy: RemovalPolicy.DESTROY },
      [
        'KMS::Key(ProcessorKey)/DeletionPolicy',
        'Logs::LogGroup(ProcessorFunctionLogs)/DeletionPolicy',
        'S3::Bucket(ProcessorDiscardedBatches)/DeletionPolicy',
        'SQS::Queue(ProcessorDeadLetters)/DeletionPolicy',
        'SQS::Queue(ProcessorFailedInvocations)/DeletionPolicy',
      ],
    ],
  ])('%s', (_, props, expected) => {
    expect(differences(plain, processorTemplate(props))).toEqual(expected.sort());
  });

  it('alarms: false takes away the alarms', () => {
    const gone = differences(plain, processorTemplate({ alarms: false }));
    expect(gone).toHaveLength(13);
    expect(gone.every((line) => line.startsWith('- CloudWatch::Alarm('))).toBe(true);
  });

  it('nothing given differs from nothing given in nothing', () => {
    expect(differences(plain, processorTemplate())).toEqual([]);
  });
});

describe('what a user brings', () => {
  const userStack = () => new Stack(newApp(), 'user');
  const code = ProcessorCode.fromAsset(BOOTSTRAP);

  it('a TableV2 with a key of its own, which the role may use through DynamoDB', () => {
    const stack = new Stack(newApp(), 'user', { env: { region: 'eu-central-1' } });
    const table = new TableV2(stack, 'Orders', {
      partitionKey: { name: 'pk', type: AttributeType.STRING },
      dynamoStream: StreamViewType.NEW_IMAGE,
      encryption: TableEncryptionV2.customerManagedKey(new Key(stack, 'TableKey')),
    });
    new StreamProcessor(stack, 'Processor', { table, code });
    const template = Template.fromStack(stack);
    expect(referred(streamMapping(template).Properties.EventSourceArn)).toContain('Orders');
    const decrypt = statementsOf(template).find(({ sid }) => sid === 'DecryptTheStream');
    expect(decrypt?.resources).toEqual(['TableKey.Arn']);
  });

  it('a queue of its own, with its key', () => {
    const stack = userStack();
    const deadLetterQueue = new Queue(stack, 'Failed', { encryptionMasterKey: new Key(stack, 'QueueKey') });
    new StreamProcessor(stack, 'Processor', { table: newTable(stack), code, deadLetterQueue });
    const template = Template.fromStack(stack);
    expect(Object.keys(resources(template, 'AWS::SQS::Queue')).filter((id) => id.includes('DeadLetters'))).toEqual([]);
    const grants = Object.fromEntries(statementsOf(template).map(({ sid, resources: on }) => [sid, on]));
    expect(grants.SendDeadLetters).toEqual(['Failed.Arn']);
    expect(grants.EncryptDeadLetters).toEqual(['QueueKey.Arn']);
  });

  it('a key of its own, for everything', () => {
    const stack = userStack();
    const encryptionKey = new Key(stack, 'Mine');
    new StreamProcessor(stack, 'Processor', { table: newTable(stack), code, encryptionKey });
    Template.fromStack(stack).resourceCountIs('AWS::KMS::Key', 1);
  });

  it('a queue for discarded batches instead of a bucket', () => {
    const stack = userStack();
    const onFailure = FailureDestination.queue(new Queue(stack, 'Discarded'));
    new StreamProcessor(stack, 'Processor', { table: newTable(stack), code, onFailure });
    const template = Template.fromStack(stack);
    template.resourceCountIs('AWS::S3::Bucket', 0);
    expect(referred(streamMapping(template).Properties.DestinationConfig.OnFailure.Destination)).toContain('Discarded');
  });

  it('a function of its own, which keeps its settings and gets variables and grants', () => {
    const stack = userStack();
    const handler = new Function(stack, 'Mine', {
      code: Code.fromAsset(BOOTSTRAP),
      runtime: Runtime.PROVIDED_AL2023,
      handler: 'bootstrap',
      memorySize: 333,
      environment: { OWN: 'kept' },
    });
    new StreamProcessor(stack, 'Processor', { table: newTable(stack), handler });
    const template = Template.fromStack(stack);
    const { MemorySize, Environment, Timeout } = resource(template, 'AWS::Lambda::Function').Properties;
    expect([MemorySize, Timeout]).toEqual([333, undefined]);
    expect(Environment.Variables).toMatchObject({ OWN: 'kept', REPORT_BATCH_ITEM_FAILURES: 'true' });
    const sids = statementsOf(template).map(({ sid }) => sid);
    expect(sids).toEqual(expect.arrayContaining(['ReadTheStream', 'SendDeadLetters', 'WriteDiscardedBatches']));
  });

  it('an alias, whose traffic the mapping follows', () => {
    const stack = userStack();
    const own = new Function(stack, 'Mine', { code: Code.fromAsset(BOOTSTRAP), runtime: Runtime.PROVIDED_AL2023, handler: 'bootstrap' });
    const handler = new Alias(stack, 'Live', { aliasName: 'live', version: own.currentVersion });
    new StreamProcessor(stack, 'Processor', { table: newTable(stack), handler });
    const template = Template.fromStack(stack);
    expect(JSON.stringify(streamMapping(template).Properties.FunctionName)).toContain('Live');
  });

  it('a VPC with a security group, and the permission to attach to it', () => {
    const stack = userStack();
    const vpc = new Vpc(stack, 'Vpc');
    const securityGroups = [new SecurityGroup(stack, 'Outbound', { vpc })];
    new StreamProcessor(stack, 'Processor', { table: newTable(stack), code, functionOptions: { vpc, securityGroups } });
    const template = Template.fromStack(stack);
    expect(resource(template, 'AWS::Lambda::Function', 'Processor').Properties.VpcConfig.SecurityGroupIds).toHaveLength(1);
    expect(statementsOf(template).map(({ sid }) => sid)).toContain('AttachToTheVpc');
  });

  it('Managed Instances, whose environments serve several invocations at once', () => {
    const stack = userStack();
    const arn = 'arn:aws:lambda:eu-central-1:111122223333:capacity-provider:instances';
    const capacityProvider = CapacityProvider.fromCapacityProviderArn(stack, 'Instances', arn);
    const functionOptions = { managedInstances: { capacityProvider, concurrencyPerEnvironment: 32 } };
    new StreamProcessor(stack, 'Processor', { table: newTable(stack), code, functionOptions });
    const properties = resource(Template.fromStack(stack), 'AWS::Lambda::Function').Properties;
    expect(properties).toMatchObject({ MemorySize: 2048, PublishToLatestPublished: true });
    expect(properties.ReservedConcurrentExecutions).toBeUndefined();
    expect(properties.CapacityProviderConfig.LambdaManagedInstancesCapacityProviderConfig).toEqual({
      CapacityProviderArn: arn,
      PerExecutionEnvironmentMaxConcurrency: 32,
    });
  });
});

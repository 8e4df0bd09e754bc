import { Duration, RemovalPolicy, Size, Stack } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { AttributeType, StreamViewType, TableEncryptionV2, TableV2 } from 'aws-cdk-lib/aws-dynamodb';
import { SecurityGroup, Vpc } from 'aws-cdk-lib/aws-ec2';
import { Key } from 'aws-cdk-lib/aws-kms';
import {
  Architecture,
  FilterCriteria,
  FilterRule,
  RecursiveLoop,
  StartingPosition,
} from 'aws-cdk-lib/aws-lambda';
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
const asynchronous = (property: string) => `Lambda::EventInvokeConfig(ProcessorFunctionAsynchronousInvocations)/${property}`;
const variable = (name: string) => fn(`Environment/Variables/${name}`);
const alarm = (id: string, property: string) => `CloudWatch::Alarm(ProcessorAlarms${id})/${property}`;

describe('a property changes what it says and nothing else', () => {
  it.each<[string, Partial<StreamProcessorProps>, string[]]>([
    ['batchSize', { mapping: { batchSize: 7 } }, [mapping('BatchSize')]],
    ['batchingWindow', { mapping: { batchingWindow: Duration.seconds(0) } }, [mapping('MaximumBatchingWindowInSeconds')]],
    ['parallelizationFactor', { mapping: { parallelizationFactor: 1 } }, [mapping('ParallelizationFactor')]],
    ['maxRecordAge', { mapping: { maxRecordAge: Duration.hours(20) } }, [mapping('MaximumRecordAgeInSeconds')]],
    ['retryAttempts', { mapping: { retryAttempts: 3 } }, [mapping('MaximumRetryAttempts')]],
    ['retryAttempts without a limit', { mapping: { retryAttempts: -1 } }, []],
    ['bisectBatchOnError', { mapping: { bisectBatchOnError: false } }, [mapping('BisectBatchOnFunctionError')]],
    ['startingPosition', { mapping: { startingPosition: StartingPosition.TRIM_HORIZON } }, [mapping('StartingPosition')]],
    ['enabled', { mapping: { enabled: false } }, [mapping('Enabled'), '- CloudWatch::Alarm(ProcessorAlarmsMappingStopped)']],
    ['filters', { mapping: { filters: [FilterCriteria.filter({ eventName: FilterRule.isEqual('REMOVE') })] } }, [mapping('FilterCriteria')]],
    ['filterFile', { mapping: { filterFile: 'test/fixtures/filters/orders.json' } }, [mapping('FilterCriteria')]],
    ['filterFile for every record', { mapping: { filterFile: 'test/fixtures/filters/every-record.json' } }, []],
    ['concurrency', { settings: { concurrency: 64 } }, [variable('LAMBDA_STREAMS_CONCURRENCY')]],
    ['maxAttempts', { settings: { maxAttempts: 5 } }, [variable('LAMBDA_STREAMS_MAX_ATTEMPTS')]],
    ['retryBase', { settings: { retryBase: Duration.millis(50) } }, [variable('LAMBDA_STREAMS_RETRY_BASE_MS')]],
    ['retryMax', { settings: { retryMax: Duration.seconds(9) } }, [variable('LAMBDA_STREAMS_RETRY_MAX_MS')]],
    ['handlerTimeout', { settings: { handlerTimeout: Duration.seconds(5) } }, [variable('LAMBDA_STREAMS_HANDLER_TIMEOUT_MS')]],
    ['giveUpAfter', { settings: { giveUpAfter: Duration.hours(1) } }, [variable('LAMBDA_STREAMS_GIVE_UP_AFTER_SECONDS')]],
    ['logLevel warn', { settings: { logLevel: LogLevel.WARN } }, [variable('LAMBDA_STREAMS_LOG_LEVEL')]],
    ['logLevel debug', { settings: { logLevel: LogLevel.DEBUG } }, [variable('LAMBDA_STREAMS_LOG_LEVEL'), fn('LoggingConfig/ApplicationLogLevel')]],
    ['architecture', { functionOptions: { architecture: Architecture.X86_64 } }, [fn('Architectures')]],
    ['memorySize', { functionOptions: { memorySize: 512 } }, [fn('MemorySize')]],
    ['reservedConcurrentExecutions', { functionOptions: { reservedConcurrentExecutions: 7 } }, [fn('ReservedConcurrentExecutions')]],
    ['deadlineMargin', { settings: { deadlineMargin: Duration.seconds(9) } }, [variable('LAMBDA_STREAMS_DEADLINE_MARGIN_MS')]],
    ['tumblingWindow', { mapping: { tumblingWindow: Duration.seconds(30) } }, [mapping('ParallelizationFactor'), mapping('TumblingWindowInSeconds')]],
    ['ephemeralStorageSize', { functionOptions: { ephemeralStorageSize: Size.gibibytes(2) } }, [fn('EphemeralStorage')]],
    ['recursiveLoop', { functionOptions: { recursiveLoop: RecursiveLoop.ALLOW } }, [fn('RecursiveLoop')]],
    ['maxEventAge', { functionOptions: { maxEventAge: Duration.hours(1) } }, [asynchronous('MaximumEventAgeInSeconds')]],
    ['retryAttempts of asynchronous calls', { functionOptions: { retryAttempts: 0 } }, [asynchronous('MaximumRetryAttempts')]],
    ['environment', { functionOptions: { environment: { REGION_OF_THE_ARCHIVE: 'north' } } }, [variable('REGION_OF_THE_ARCHIVE')]],
    ['other tunables', { functionOptions: { environment: { GLIBC_TUNABLES: 'glibc.malloc.check=0' } } }, [variable('GLIBC_TUNABLES')]],
    ['logRetention', { functionOptions: { logRetention: RetentionDays.ONE_DAY } }, ['Logs::LogGroup(ProcessorFunctionLogs)/RetentionInDays']],
    [
      'timeout',
      { functionOptions: { timeout: Duration.seconds(90) } },
      [
        alarm('DurationNearTimeout', 'Threshold'),
        variable('LAMBDA_STREAMS_HANDLER_TIMEOUT_MS'),
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
        'IAM::Policy(ProcessorCodeBoundaryPolicy)/PolicyDocument/Statement',
        'IAM::Policy(ProcessorFunctionRoleDefaultPolicy)/PolicyDocument/Statement',
      ],
    ],
    [
      'idempotency',
      { idempotency: true },
      [
        '+ DynamoDB::Table(ProcessorIdempotency)',
        '+ CloudWatch::Alarm(ProcessorAlarmsMarkFailures)',
        '+ CloudWatch::Alarm(ProcessorAlarmsMarkRegressions)',
        'IAM::Policy(ProcessorFunctionRoleDefaultPolicy)/PolicyDocument/Statement',
        variable('LAMBDA_STREAMS_CONSUMER'),
        variable('LAMBDA_STREAMS_IDEMPOTENCY_TABLE'),
      ],
    ],
    ['idempotency: false', { idempotency: false }, []],
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

  it('a queue for discarded batches instead of a bucket', () => {
    const stack = userStack();
    const onFailure = FailureDestination.queue(new Queue(stack, 'Discarded'));
    new StreamProcessor(stack, 'Processor', { table: newTable(stack), code, onFailure });
    const template = Template.fromStack(stack);
    template.resourceCountIs('AWS::S3::Bucket', 0);
    expect(referred(streamMapping(template).Properties.DestinationConfig.OnFailure.Destination)).toContain('Discarded');
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
});

import { CfnOutput, RemovalPolicy, Stack, StackProps } from 'aws-cdk-lib';
import { SnsAction } from 'aws-cdk-lib/aws-cloudwatch-actions';
import {
  AttributeType,
  BillingMode,
  ProjectionType,
  StreamViewType,
  Table,
  TableEncryption,
} from 'aws-cdk-lib/aws-dynamodb';
import { Architecture, StartingPosition } from 'aws-cdk-lib/aws-lambda';
import { Construct } from 'constructs';
import { AlarmTopic } from './alarm-topic';
import { ApiAlarms } from './api-alarms';
import { EncryptionKey } from './encryption-key';
import { OnDemandApi } from './on-demand-api';
import { ProcessorCode } from './processor-code';
import { ProcessorFunction } from './processor-function';
import { ProcessorSettings } from './processor-settings';
import { StreamDashboard } from './stream-dashboard';
import { StreamProcessor } from './stream-processor';

/** Properties of `DemoStack`. */
export interface DemoStackProps extends StackProps {
  /** The function's code. */
  readonly code: ProcessorCode;

  /** The ranges that may call the on-demand API, in CIDR notation. */
  readonly allowedCidrs: string[];

  /**
   * Keeps tables, queues, bucket, key and logs when the stack is deleted, and refuses to delete the tables.
   *
   * @default false
   */
  readonly production?: boolean;

  /**
   * Who gets a mail of each alarm.
   *
   * @default - nobody
   */
  readonly alarmEmail?: string;

  /**
   * The processor that the code is built for.
   *
   * @default Architecture.ARM_64
   */
  readonly architecture?: Architecture;

  /**
   * Whether `GET /process` is answered from a cache, which is paid by the hour.
   *
   * @default true
   */
  readonly apiCache?: boolean;

  /**
   * Whether a table keeps what is done, so a redelivery skips it in any execution environment.
   *
   * @default true
   */
  readonly idempotency?: boolean;

  /**
   * Where the mapping starts to read when it is created.
   *
   * @default StartingPosition.LATEST
   */
  readonly startingPosition?: StartingPosition;

  /**
   * The settings of the function.
   *
   * @default - the crate's defaults
   */
  readonly settings?: ProcessorSettings;
}

/** The documented system: a table, the function that processes its changes, an API to run records on demand, monitoring. */
export class DemoStack extends Stack {
  readonly table: Table;
  readonly processor: StreamProcessor;
  readonly api: OnDemandApi;

  private readonly removalPolicy: RemovalPolicy;
  private readonly key: EncryptionKey;
  private readonly onDemand: ProcessorFunction;

  constructor(scope: Construct, id: string, private readonly props: DemoStackProps) {
    super(scope, id, props);
    this.removalPolicy = props.production ? RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE : RemovalPolicy.DESTROY;
    this.key = this.createKey();
    this.table = this.createTable();
    const topic = new AlarmTopic(this, 'AlarmTopic', { encryptionKey: this.key, email: props.alarmEmail });
    this.processor = this.createProcessor(topic);
    this.onDemand = this.createOnDemandFunction();
    this.api = this.createApi();
    this.createDashboard(topic);
    this.createOutputs();
  }

  private createKey(): EncryptionKey {
    return new EncryptionKey(this, 'Key', {
      description: `Everything that ${this.stackName} keeps: items, dead letters, discarded batches, logs, alarms`,
      removalPolicy: this.removalPolicy,
    });
  }

  private createTable(): Table {
    const table = new Table(this, 'Table', {
      partitionKey: { name: 'id', type: AttributeType.STRING },
      sortKey: { name: 'timestamp', type: AttributeType.NUMBER },
      billingMode: BillingMode.PAY_PER_REQUEST,
      stream: StreamViewType.NEW_AND_OLD_IMAGES,
      encryption: TableEncryption.CUSTOMER_MANAGED,
      encryptionKey: this.key,
      pointInTimeRecoverySpecification: { pointInTimeRecoveryEnabled: true },
      deletionProtection: this.props.production ?? false,
      // A protected table cannot be deleted, not even where the first deployment fails.
      removalPolicy: this.props.production ? RemovalPolicy.RETAIN : RemovalPolicy.DESTROY,
    });
    table.addGlobalSecondaryIndex({
      indexName: 'status-timestamp-index',
      partitionKey: { name: 'status', type: AttributeType.STRING },
      sortKey: { name: 'timestamp', type: AttributeType.NUMBER },
      projectionType: ProjectionType.ALL,
    });
    return table;
  }

  private createProcessor(topic: AlarmTopic): StreamProcessor {
    return new StreamProcessor(this, 'Processor', {
      table: this.table,
      code: this.props.code,
      functionOptions: {
        architecture: this.props.architecture,
        reservedConcurrentExecutions: 100,
        // What the example reads in addition to the contract of environment.md: the table whose records its API takes.
        environment: { TABLE_NAME: this.table.tableName },
      },
      settings: this.props.settings,
      mapping: { startingPosition: this.props.startingPosition },
      redrive: true,
      idempotency: (this.props.idempotency ?? true) && { deletionProtection: this.props.production },
      encryptionKey: this.key,
      alarms: { actions: [new SnsAction(topic)] },
      removalPolicy: this.removalPolicy,
    });
  }

  // The same code once more: with one function for both, callers of the API could take all of the stream's concurrency, and
  // either the API's 29 seconds would bound the stream's batches or a caller would wait for an answer that never comes.
  private createOnDemandFunction(): ProcessorFunction {
    return this.processor.createOnDemandFunction(this, 'OnDemandFunction', {
      reservedConcurrentExecutions: 250,
    });
  }

  private createApi(): OnDemandApi {
    return new OnDemandApi(this, 'Api', {
      handler: this.onDemand.function,
      allowedCidrs: this.props.allowedCidrs,
      cache: this.props.apiCache,
      encryptionKey: this.key,
      removalPolicy: this.removalPolicy,
    });
  }

  private createDashboard(topic: AlarmTopic): void {
    const { api } = this.api;
    const apiAlarms = new ApiAlarms(this, 'ApiAlarms', { api, actions: [new SnsAction(topic)] });
    new StreamDashboard(this, 'Dashboard', { processor: this.processor, table: this.table, api, apiAlarms });
  }

  private createOutputs(): void {
    const { processor, api, table } = this;
    this.output('TableName', table.tableName, 'The table whose changes are processed');
    this.output('StreamArn', table.tableStreamArn!, "The table's stream");
    this.output('FunctionName', processor.function.functionName, 'The function that processes the changes');
    this.output('FunctionLogGroup', processor.logGroup!.logGroupName, "The function's logs");
    this.output('MappingId', processor.mapping.eventSourceMappingId, 'The event source mapping of stream and function');
    this.output('DeadLetterQueueUrl', processor.deadLetterQueue.queueUrl, 'Records that failed for good');
    this.output('RedriveQueueArn', processor.redrive!.queue.queueArn, 'Where dead letters are moved to be put back');
    this.output('FailedInvocationsQueueUrl', processor.failedInvocations!.queueUrl, 'Asynchronous invocations that failed');
    this.output('DiscardedBatchesArn', processor.onFailure.arn, 'Batches that the event source mapping discarded');
    if (processor.idempotencyTable) {
      this.output('IdempotencyTableName', processor.idempotencyTable.tableName, 'The table that keeps what is done');
    }
    this.output('OnDemandFunctionName', this.onDemand.function.functionName, 'The function that the API invokes');
    this.output('OnDemandLogGroup', this.onDemand.logGroup.logGroupName, "Its logs");
    this.output('ApiEndpoint', api.endpoint, 'GET and POST here');
    this.output('ApiKeyId', api.apiKey.keyId, 'aws apigateway get-api-key --include-value shows the key');
    this.output('AccessLogGroup', api.accessLogs.logGroupName, "The API's access log");
  }

  private output(id: string, value: string, description: string): void {
    new CfnOutput(this, id, { value, description });
  }
}

import { Duration, RemovalPolicy, Stack, StackProps } from 'aws-cdk-lib';
import { Table } from 'aws-cdk-lib/aws-dynamodb';
import { Architecture, FilterCriteria, FilterRule } from 'aws-cdk-lib/aws-lambda';
import { Queue, QueueEncryption } from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import { FailureDestination, Findings, LogLevel, ProcessorCode, StreamProcessor } from '../lib';

/** Properties of `ExistingTableStack`. */
export interface ExistingTableStackProps extends StackProps {
  /** The table's ARN. */
  readonly tableArn: string;
  /** The ARN of its stream: `aws dynamodb describe-table` calls it `LatestStreamArn`. */
  readonly tableStreamArn: string;
  /** The function's code, built for x86_64. */
  readonly code: ProcessorCode;
}

/** A stack as a user writes it: a table that another stack owns, your own queues, removals only, small batches. */
export class ExistingTableStack extends Stack {
  constructor(scope: Construct, id: string, props: ExistingTableStackProps) {
    super(scope, id, props);
    const { tableArn, tableStreamArn } = props;
    new StreamProcessor(this, 'Archive', {
      table: Table.fromTableAttributes(this, 'Orders', { tableArn, tableStreamArn }),
      code: props.code,
      functionOptions: { architecture: Architecture.X86_64, timeout: Duration.seconds(20), reservedConcurrentExecutions: 20 },
      settings: { logLevel: LogLevel.DEBUG, concurrency: 32, giveUpAfter: Duration.hours(1) },
      mapping: {
        batchSize: 20,
        batchingWindow: Duration.seconds(0),
        maxRecordAge: Duration.hours(2),
        filters: [FilterCriteria.filter({ eventName: FilterRule.isEqual('REMOVE') })],
      },
      deadLetterQueue: this.createQueue('FailedArchiving'),
      onFailure: FailureDestination.queue(this.createQueue('DiscardedArchiving')),
      removalPolicy: RemovalPolicy.DESTROY,
    });
  }

  private createQueue(id: string): Queue {
    const queue = new Queue(this, id, {
      encryption: QueueEncryption.SQS_MANAGED,
      enforceSSL: true,
      retentionPeriod: Duration.days(14),
      visibilityTimeout: Duration.minutes(2),
    });
    Findings.accept(queue, {
      checkov: ['CKV_AWS_27'],
      reason: 'The queue is encrypted with the key that SQS manages; who may read it is said by IAM alone.',
    });
    Findings.accept(queue, {
      nag: ['AwsSolutions-SQS3', 'Serverless-SQSRedrivePolicy'],
      reason: 'The queue is itself where failed work ends.',
    });
    return queue;
  }
}

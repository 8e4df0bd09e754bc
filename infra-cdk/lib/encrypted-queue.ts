import { Duration, RemovalPolicy } from 'aws-cdk-lib';
import { IKey } from 'aws-cdk-lib/aws-kms';
import { DeadLetterQueue, Queue, QueueEncryption } from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import { acceptFinding } from './findings';

/** Properties of `EncryptedQueue`. */
export interface EncryptedQueueProps {
  /** The key that encrypts the messages. */
  readonly encryptionKey: IKey;

  /** The timeout of the function that reads the queue. A message stays invisible for six times as long. */
  readonly functionTimeout: Duration;

  /**
   * Where messages go after too many receives.
   *
   * @default - nowhere: they stay until they expire
   */
  readonly deadLetterQueue?: DeadLetterQueue;

  /**
   * Whether another queue names this one as its dead-letter queue.
   *
   * @default false
   */
  readonly endsAnotherQueue?: boolean;

  /**
   * What happens to the queue when its stack is deleted.
   *
   * @default RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE
   */
  readonly removalPolicy?: RemovalPolicy;
}

/** A queue that keeps messages for 14 days, encrypts them with a customer's key and refuses plain HTTP. */
export class EncryptedQueue extends Queue {
  constructor(scope: Construct, id: string, props: EncryptedQueueProps) {
    super(scope, id, {
      encryption: QueueEncryption.KMS,
      encryptionMasterKey: props.encryptionKey,
      enforceSSL: true,
      retentionPeriod: Duration.days(14),
      // Lambda's advice for a queue that a function reads (Lambda developer guide, "Using Lambda with Amazon SQS").
      visibilityTimeout: Duration.seconds(6 * props.functionTimeout.toSeconds()),
      deadLetterQueue: props.deadLetterQueue,
      removalPolicy: props.removalPolicy ?? RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE,
    });
    if (!props.deadLetterQueue) {
      acceptFinding(this, {
        nag: ['Serverless-SQSRedrivePolicy', ...(props.endsAnotherQueue ? [] : ['AwsSolutions-SQS3'])],
        reason: 'This queue is where failed work ends; a dead-letter queue for it would only hide messages.',
      });
    }
  }
}

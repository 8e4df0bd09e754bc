import { Duration, RemovalPolicy } from 'aws-cdk-lib';
import { IGrantable } from 'aws-cdk-lib/aws-iam';
import { IKey } from 'aws-cdk-lib/aws-kms';
import { EventSourceMapping, IFunction } from 'aws-cdk-lib/aws-lambda';
import { IQueue } from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import { EncryptedQueue } from './encrypted-queue';
import { acceptFinding } from './findings';
import { dependOn, grantRedrive } from './grants';
import { REPORT_BATCH_ITEM_FAILURES } from './processor-settings';

/** Properties of `Redrive`. */
export interface RedriveProps {
  /** The queue where dead letters wait, and where they return if the function fails again. */
  readonly deadLetterQueue: IQueue;

  /** The function that processes the records again. */
  readonly target: IFunction;

  /**
   * Who gets the permission to read the queue.
   *
   * @default - the role of `target`
   */
  readonly grantee?: IGrantable;

  /** The function's timeout. */
  readonly functionTimeout: Duration;

  /** The key that encrypts the messages in the redrive queue. */
  readonly encryptionKey: IKey;

  /**
   * What happens to the queue when its stack is deleted.
   *
   * @default RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE
   */
  readonly removalPolicy?: RemovalPolicy;
}

const MAX_RECEIVES = 3;

/**
 * Puts dead letters back into the function when a person starts it, with `aws sqs start-message-move-task`.
 *
 * The function is mapped to a separate queue and never to the dead-letter queue: a record that fails again is sent to the
 * dead-letter queue as a new message, and a mapping of it would receive the message again at once, without end. The
 * dead-letter queue is also the redrive queue's own dead-letter queue. That allows SQS to move messages between them, and
 * returns a letter that cannot be read after three receives.
 */
export class Redrive extends Construct {
  /** The queue that dead letters are moved to. */
  readonly queue: EncryptedQueue;
  /** The event source mapping of this queue and the function. */
  readonly mapping: EventSourceMapping;

  constructor(scope: Construct, id: string, props: RedriveProps) {
    super(scope, id);
    this.queue = new EncryptedQueue(this, 'Queue', {
      encryptionKey: props.encryptionKey,
      functionTimeout: props.functionTimeout,
      removalPolicy: props.removalPolicy,
      deadLetterQueue: { queue: props.deadLetterQueue, maxReceiveCount: MAX_RECEIVES },
    });
    const grantee = props.grantee ?? props.target;
    grantRedrive(grantee, this.queue);
    this.mapping = this.createMapping(props.target);
    dependOn(this.mapping, grantee);
  }

  private createMapping(target: IFunction): EventSourceMapping {
    const mapping = new EventSourceMapping(this, 'Mapping', {
      target,
      eventSourceArn: this.queue.queueArn,
      batchSize: 10,
      // The least that SQS mappings allow: the stream keeps the rest of the function's concurrency.
      maxConcurrency: 2,
      reportBatchItemFailures: REPORT_BATCH_ITEM_FAILURES,
    });
    acceptFinding(mapping, {
      nag: ['Serverless-LambdaEventSourceMappingDestination'],
      reason: 'SQS mappings take no destination: the queue itself sends what fails back to the dead-letter queue.',
    });
    return mapping;
  }
}

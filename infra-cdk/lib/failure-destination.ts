import { Duration, RemovalPolicy } from 'aws-cdk-lib';
import { IGrantable } from 'aws-cdk-lib/aws-iam';
import { IKey } from 'aws-cdk-lib/aws-kms';
import { BlockPublicAccess, Bucket, BucketEncryption, IBucket } from 'aws-cdk-lib/aws-s3';
import { ITopic } from 'aws-cdk-lib/aws-sns';
import { IQueue } from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import { check } from './checks';
import { acceptFinding } from './findings';
import { grantDestinationBucket, grantDestinationQueue, grantDestinationTopic } from './grants';

/** Where the event source mapping puts a batch that it discards, because its retries are exhausted or its records are too old. */
export abstract class FailureDestination {
  /** Writes one object per discarded batch, with the records, so nothing is lost after the stream's 24 hours. */
  static bucket(bucket: IBucket): FailureDestination {
    return new BucketDestination(bucket);
  }

  /**
   * Sends one message per discarded batch, with the shard and the sequence numbers, *without* the records.
   *
   * The records can be read from the stream for as long as it keeps them, 24 hours after they were written. The queue must be a
   * standard queue, and must not be the dead-letter queue, whose messages have another format.
   */
  static queue(queue: IQueue): FailureDestination {
    checkStandardQueue(queue);
    return new QueueDestination(queue);
  }

  /** Publishes one message per discarded batch, with the shard and the sequence numbers, *without* the records. The topic must be a
   * standard topic. */
  static topic(topic: ITopic): FailureDestination {
    check(topic, !topic.fifo, 'a FIFO topic cannot be a destination, since Lambda takes standard topics only; give it a topic without fifo');
    return new TopicDestination(topic);
  }

  /** The ARN of the bucket, queue or topic. */
  abstract readonly arn: string;

  /** Lets Lambda, as `grantee`, write there. */
  abstract grantWrite(grantee: IGrantable): void;
}

class BucketDestination extends FailureDestination {
  readonly arn: string;

  constructor(private readonly bucket: IBucket) {
    super();
    this.arn = bucket.bucketArn;
  }

  grantWrite(grantee: IGrantable): void {
    grantDestinationBucket(grantee, this.bucket);
  }
}

class QueueDestination extends FailureDestination {
  readonly arn: string;

  constructor(private readonly queue: IQueue) {
    super();
    this.arn = queue.queueArn;
  }

  grantWrite(grantee: IGrantable): void {
    grantDestinationQueue(grantee, 'DiscardedBatches', this.queue);
  }
}

class TopicDestination extends FailureDestination {
  readonly arn: string;

  constructor(private readonly topic: ITopic) {
    super();
    this.arn = topic.topicArn;
  }

  grantWrite(grantee: IGrantable): void {
    grantDestinationTopic(grantee, this.topic);
  }
}

/** Throws where Lambda would refuse the queue as a destination, or not write to it. */
export function checkStandardQueue(queue: IQueue): void {
  check(queue, !queue.fifo, 'a FIFO queue cannot be a destination, since Lambda takes standard queues only; give it a queue without fifo');
}

/** Properties of `DiscardedBatchesBucket`. */
export interface DiscardedBatchesBucketProps {
  /** The key that encrypts the objects. */
  readonly encryptionKey: IKey;

  /**
   * What happens to the bucket when its stack is deleted. A bucket that is not empty is never deleted.
   *
   * @default RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE
   */
  readonly removalPolicy?: RemovalPolicy;
}

/** A private bucket that keeps discarded batches for 30 days. */
export class DiscardedBatchesBucket extends Bucket {
  constructor(scope: Construct, id: string, props: DiscardedBatchesBucketProps) {
    super(scope, id, {
      encryption: BucketEncryption.KMS,
      encryptionKey: props.encryptionKey,
      bucketKeyEnabled: true,
      blockPublicAccess: BlockPublicAccess.BLOCK_ALL,
      enforceSSL: true,
      lifecycleRules: [{ expiration: Duration.days(30), abortIncompleteMultipartUploadAfter: Duration.days(1) }],
      removalPolicy: props.removalPolicy ?? RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE,
    });
    acceptFinding(this, {
      nag: ['AwsSolutions-S1'],
      checkov: ['CKV_AWS_18'],
      reason: 'Only Lambda writes here, rarely, and each write is counted by the mapping; an access log would need a bucket too.',
    });
    acceptFinding(this, {
      checkov: ['CKV_AWS_21'],
      reason: 'Every object has a name of its own and is written once, so there are no versions to keep.',
    });
  }
}

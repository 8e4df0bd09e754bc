import { Duration, RemovalPolicy } from 'aws-cdk-lib';
import { IGrantable } from 'aws-cdk-lib/aws-iam';
import { IKey } from 'aws-cdk-lib/aws-kms';
import { BlockPublicAccess, Bucket, BucketEncryption, IBucket } from 'aws-cdk-lib/aws-s3';
import { IQueue } from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import { acceptFinding } from './findings';
import { grantDestinationBucket, grantDestinationQueue } from './grants';

/** Where the event source mapping puts a batch that it discards because retries or record age ran out. */
export abstract class FailureDestination {
  /** Writes one object a batch, the records included, so that nothing is lost when the stream's 24 hours are over. */
  static bucket(bucket: IBucket): FailureDestination {
    return new BucketDestination(bucket);
  }

  /**
   * Sends one message a batch that names shard and sequence numbers, *without* the records.
   *
   * The records can be read from the stream for as long as it keeps them, 24 hours after they were written. The queue must
   * not be the dead-letter queue: its messages are of another shape.
   */
  static queue(queue: IQueue): FailureDestination {
    return new QueueDestination(queue);
  }

  /** The ARN of the bucket or queue. */
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

/** Properties of `DiscardedBatchesBucket`. */
export interface DiscardedBatchesBucketProps {
  /** Encrypts the objects. */
  readonly encryptionKey: IKey;

  /**
   * What becomes of the bucket when its stack is deleted; a bucket that is not empty is never deleted.
   *
   * @default RemovalPolicy.RETAIN
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
      removalPolicy: props.removalPolicy ?? RemovalPolicy.RETAIN,
    });
    acceptFinding(this, {
      nag: ['AwsSolutions-S1'],
      checkov: ['CKV_AWS_18'],
      reason: 'Only Lambda writes here, seldom, and each write is counted by the mapping; an access log would need a bucket too.',
    });
    acceptFinding(this, {
      checkov: ['CKV_AWS_21'],
      reason: 'Every object has a name of its own and is written once, so that there are no versions to keep.',
    });
  }
}

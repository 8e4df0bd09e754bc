import { RemovalPolicy } from 'aws-cdk-lib';
import { Key } from 'aws-cdk-lib/aws-kms';
import { Construct } from 'constructs';

/** Properties of `EncryptionKey`. */
export interface EncryptionKeyProps {
  /** What the key encrypts, as the console shows it. */
  readonly description: string;

  /**
   * What becomes of the key when its stack is deleted; keep it as long as anything that it encrypts.
   *
   * @default RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE
   */
  readonly removalPolicy?: RemovalPolicy;
}

/**
 * A customer-managed key that rotates every year.
 *
 * Constructs that need more than IAM gives, as log groups and alarm topics do, add their statements to its policy themselves.
 */
export class EncryptionKey extends Key {
  constructor(scope: Construct, id: string, props: EncryptionKeyProps) {
    super(scope, id, {
      description: props.description,
      enableKeyRotation: true,
      removalPolicy: props.removalPolicy ?? RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE,
    });
  }
}

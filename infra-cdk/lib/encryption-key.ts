import { RemovalPolicy } from 'aws-cdk-lib';
import { Key } from 'aws-cdk-lib/aws-kms';
import { Construct } from 'constructs';

/** Properties of `EncryptionKey`. */
export interface EncryptionKeyProps {
  /** The key's description, which the console shows: what it encrypts. */
  readonly description: string;

  /**
   * What happens to the key when its stack is deleted. Keep it for as long as anything that it encrypts.
   *
   * @default RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE
   */
  readonly removalPolicy?: RemovalPolicy;
}

/**
 * A customer-managed key that rotates every year.
 *
 * Constructs that need a statement in the key's policy, such as log groups and alarm topics, add it themselves.
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

import { RemovalPolicy } from 'aws-cdk-lib';
import { AttributeType, BillingMode, Table, TableEncryption } from 'aws-cdk-lib/aws-dynamodb';
import { IKey } from 'aws-cdk-lib/aws-kms';
import { Construct } from 'constructs';

/** The partition key that the crate's store reads and writes; there is no sort key. */
export const KEY_ATTRIBUTE = 'key';
/** The attribute that has the time after which DynamoDB may delete a row. */
export const TTL_ATTRIBUTE = 'expires';

/** Properties of `IdempotencyTable`. */
export interface IdempotencyTableProps {
  /** The key that encrypts the rows. */
  readonly encryptionKey: IKey;

  /**
   * Whether DynamoDB refuses to delete the table until the protection is turned off.
   *
   * @default false
   */
  readonly deletionProtection?: boolean;

  /**
   * What happens to the table when its stack is deleted.
   *
   * @default RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE, or RemovalPolicy.RETAIN with `deletionProtection`, since a protected table cannot
   * be deleted where the first deployment fails
   */
  readonly removalPolicy?: RemovalPolicy;
}

/**
 * A table that keeps which records one or several processors have done: partition key `key` (string), TTL attribute
 * `expires`, on-demand billing, encrypted with a customer-managed key.
 *
 * It has point-in-time recovery, for $0.20 per GB and month. A lost row causes a repetition, never a lost record. But if
 * handlers use the crate's guard, the rows are what makes an effect happen exactly once.
 */
export class IdempotencyTable extends Table {
  constructor(scope: Construct, id: string, props: IdempotencyTableProps) {
    const { deletionProtection = false } = props;
    super(scope, id, {
      partitionKey: { name: KEY_ATTRIBUTE, type: AttributeType.STRING },
      timeToLiveAttribute: TTL_ATTRIBUTE,
      billingMode: BillingMode.PAY_PER_REQUEST,
      encryption: TableEncryption.CUSTOMER_MANAGED,
      encryptionKey: props.encryptionKey,
      pointInTimeRecoverySpecification: { pointInTimeRecoveryEnabled: true },
      deletionProtection,
      removalPolicy: props.removalPolicy ?? (deletionProtection ? RemovalPolicy.RETAIN : RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE),
    });
  }
}

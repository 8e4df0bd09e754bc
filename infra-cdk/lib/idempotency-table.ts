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
  /** Encrypts the rows. */
  readonly encryptionKey: IKey;

  /**
   * Whether DynamoDB refuses to delete the table, until the protection is taken off.
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
 * A table that keeps what one or several processors have done: partition key `key` (text), TTL attribute `expires`, paid on demand,
 * encrypted with a customer's key.
 *
 * It can be restored to any second, for $0.20 a GB and month. A lost row costs a repetition and never a record, but where handlers use the
 * crate's guard, the rows are what makes an effect happen once.
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

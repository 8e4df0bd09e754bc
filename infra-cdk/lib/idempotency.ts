import { Annotations, Arn, ArnFormat, RemovalPolicy, Stack, Token } from 'aws-cdk-lib';
import { CfnGlobalTable, CfnTable, ITable } from 'aws-cdk-lib/aws-dynamodb';
import { IKey } from 'aws-cdk-lib/aws-kms';
import { Construct } from 'constructs';
import { check, checkPlace } from './checks';
import { IdempotencyTable, KEY_ATTRIBUTE, TTL_ATTRIBUTE } from './idempotency-table';
import { identityOf, take } from './taken';

/** Where a processor keeps which records are done, and under which name. */
export interface IdempotencyOptions {
  /**
   * An existing table in this region and account, such as an `IdempotencyTable`. Several processors may share one.
   *
   * It must have the partition key `key` (string), no sort key, and the TTL attribute `expires`. The construct checks a
   * table of this app. It cannot check an imported table, and gives a warning. An imported table needs its `encryptionKey`
   * if a customer-managed key encrypts it.
   *
   * @default - a new table, encrypted with `encryptionKey` of the processor
   */
  readonly table?: ITable;

  /**
   * The processor's name in the table: 1 to 255 printable ASCII characters, without `#`, `*`, `?` and `$`, because IAM could not
   * distinguish the rows of two consumers with them.
   *
   * All functions of a processor share it. Under a new name nothing is done yet: what the stream still holds, and what is
   * put back, is processed again. Only change it on purpose.
   *
   * @default - the processor's `serviceName`, which depends on the construct's path unless you set it
   */
  readonly consumer?: string;

  /**
   * Whether DynamoDB refuses to delete the table that the construct creates.
   *
   * @default false
   */
  readonly deletionProtection?: boolean;

  /**
   * What happens to the table that the construct creates when the stack is deleted.
   *
   * @default - `removalPolicy` of the processor, or RemovalPolicy.RETAIN with `deletionProtection`
   */
  readonly removalPolicy?: RemovalPolicy;
}

/** The table, and the consumer's name, that a processor's functions are told. */
export interface Idempotency {
  readonly table: ITable;
  readonly consumer: string;
}

/** What a processor has that the options do not say. */
export interface IdempotencyDefaults {
  readonly consumer: string;
  /** The table whose changes are processed. */
  readonly source: ITable;
  /** The processor's key, which is made when it is asked for. */
  readonly encryptionKey: () => IKey;
  readonly removalPolicy?: RemovalPolicy;
}

/** Finds or makes the table, and checks what can be known of it; `undefined` where `idempotency` is off. */
export function createIdempotency(
  scope: Construct,
  idempotency: IdempotencyOptions | boolean | undefined,
  defaults: IdempotencyDefaults,
): Idempotency | undefined {
  if (!idempotency) {
    return undefined;
  }
  const options = idempotency === true ? {} : idempotency;
  const consumer = options.consumer ?? defaults.consumer;
  checkConsumer(scope, consumer);
  const { table } = options;
  if (table === undefined) {
    return { table: createTable(scope, options, defaults), consumer };
  }
  checkOptions(scope, options);
  checkTable(scope, table, defaults.source);
  warnOfNamesake(scope, { table, consumer }, defaults.source);
  return { table, consumer };
}

function createTable(scope: Construct, { deletionProtection, removalPolicy }: IdempotencyOptions, defaults: IdempotencyDefaults): ITable {
  return new IdempotencyTable(scope, 'Idempotency', {
    encryptionKey: defaults.encryptionKey(),
    deletionProtection,
    removalPolicy: removalPolicy ?? (deletionProtection ? undefined : defaults.removalPolicy),
  });
}

// The crate takes more. But IAM takes no characters beyond Latin-1 in a policy, where `*` and `?` are wildcards and `$` begins a variable, and
// the first `#` of a row's key ends the consumer's name.
function checkConsumer(scope: Construct, consumer: string): void {
  if (Token.isUnresolved(consumer)) {
    return;
  }
  const { length } = consumer;
  const from = 'the consumer of idempotency, by default the serviceName,';
  check(scope, length >= 1 && length <= 255, `${from} has ${length} characters; write 1 to 255`);
  check(
    scope,
    /^[ -~]*$/.test(consumer) && consumer.trim() !== '',
    `${from} is ${JSON.stringify(consumer)}; write printable ASCII characters, and not only spaces`,
  );
  check(
    scope,
    !/[#*?$]/.test(consumer),
    `${from} is "${consumer}", with which IAM could not tell its rows from those of others; write a consumer without #, *, ? and $`,
  );
}

function checkOptions(scope: Construct, { deletionProtection, removalPolicy }: IdempotencyOptions): void {
  check(
    scope,
    deletionProtection === undefined && removalPolicy === undefined,
    'deletionProtection and removalPolicy of idempotency have no effect on a table that exists; set them where it is made',
  );
}

function checkTable(scope: Construct, table: ITable, source: ITable): void {
  check(
    scope,
    identityOf(table, table.tableArn) !== identityOf(source, source.tableArn),
    'the table of idempotency is the one whose changes are processed, and each row that is written there is a change, without end; write ' +
      'another table',
  );
  const advice = 'the function calls tables of its own region and account; write a table of this one';
  const place = placeOf(table);
  checkPlace(scope, 'region', 'the table of idempotency', place, advice);
  checkPlace(scope, 'account', 'the table of idempotency', place, advice);
  checkSchema(scope, table);
}

// The CDK takes an imported table for one of the stack that it is imported into, whatever its ARN says.
function placeOf(table: ITable): Pick<ITable, 'env'> {
  if (Token.isUnresolved(table.tableArn)) {
    return table;
  }
  const { region, account } = Arn.split(table.tableArn, ArnFormat.SLASH_RESOURCE_NAME);
  return { env: { region: region!, account: account! } };
}

function checkSchema(scope: Construct, table: ITable): void {
  const { defaultChild } = table.node;
  const wanted = `partitionKey: { name: '${KEY_ATTRIBUTE}', type: AttributeType.STRING } without a sort key, and timeToLiveAttribute: '${TTL_ATTRIBUTE}'`;
  if (!(defaultChild instanceof CfnTable || defaultChild instanceof CfnGlobalTable)) {
    Annotations.of(scope).addWarningV2(
      'lambda-streams:IdempotencyTable',
      `the table of idempotency, ${table.node.path}, is imported, so its keys cannot be checked here; unless it has ${wanted}, each call ` +
        'of it fails and records are processed twice: look at it, then acknowledge this warning',
    );
    return;
  }
  const found = describe(Stack.of(table).resolve(schemaOf(defaultChild)));
  check(
    scope,
    found === `${KEY_ATTRIBUTE} (HASH, S), TTL ${TTL_ATTRIBUTE}`,
    `the table of idempotency has ${found}; give it ${wanted}, or write an IdempotencyTable`,
  );
}

function schemaOf({ keySchema, attributeDefinitions, timeToLiveSpecification }: CfnTable | CfnGlobalTable): object {
  return { keys: keySchema, attributes: attributeDefinitions, ttl: timeToLiveSpecification };
}

interface Schema {
  readonly keys: CfnTable.KeySchemaProperty[];
  readonly attributes: CfnTable.AttributeDefinitionProperty[];
  readonly ttl?: CfnTable.TimeToLiveSpecificationProperty;
}

function describe({ keys, attributes, ttl }: Schema): string {
  const typeOf = (name: string): string => attributes.find(({ attributeName }) => attributeName === name)?.attributeType ?? '?';
  const written = keys.map(({ attributeName, keyType }) => `${attributeName} (${keyType}, ${typeOf(attributeName)})`);
  return [...written, ttl?.enabled ? `TTL ${ttl.attributeName}` : 'no TTL'].join(', ');
}

function warnOfNamesake(scope: Construct, { table, consumer }: Idempotency, source: ITable): void {
  const rows = [table, source].map((one) => identityOf(one, one.tableArn)).join(' ');
  const namesake = take(scope, `consumer ${rows} ${consumer}`);
  if (namesake !== undefined) {
    Annotations.of(scope).addWarningV2(
      'lambda-streams:Consumer',
      `the consumer of idempotency is "${consumer}", as that of ${namesake}, which reads the same stream: each skips what the other has done; ` +
        'write another name, or acknowledge this warning where the one takes over from the other',
    );
  }
}

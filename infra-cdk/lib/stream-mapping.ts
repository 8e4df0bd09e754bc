import { Duration, Token } from 'aws-cdk-lib';
import { ITable } from 'aws-cdk-lib/aws-dynamodb';
import { IGrantable } from 'aws-cdk-lib/aws-iam';
import { IKey } from 'aws-cdk-lib/aws-kms';
import { EventSourceMapping, IFunction, MetricType, StartingPosition } from 'aws-cdk-lib/aws-lambda';
import { Construct } from 'constructs';
import { check, checkDuration, checkKnown, checkRange } from './checks';
import { FailureDestination } from './failure-destination';
import { dependOn, grantStream } from './grants';
import { allowFilters } from './key-policies';
import { REPORT_BATCH_ITEM_FAILURES } from './processor-settings';
import { checkFilters, readFilterFile } from './stream-filters';
import { checkStream } from './stream-table';

/** How Lambda reads the stream. */
export interface StreamMappingOptions {
  /**
   * The most records in one invocation, 1 to 10,000. A batch ends earlier at 6 MB of payload.
   *
   * @default 100
   */
  readonly batchSize?: number;

  /**
   * How long Lambda waits for a batch to fill, 0 to 300 seconds.
   *
   * @default Duration.seconds(5)
   */
  readonly batchingWindow?: Duration;

  /**
   * The most batches of one shard in flight at a time, 1 to 10. Changes of one item still keep their order. Set it to 1 if the function has
   * lanes of several items (`Lanes::per_key_attribute`, `by_keys`, `WholeBatch`): only one batch at a time keeps the order between items.
   *
   * @default 10, or 1 with `tumblingWindow`
   */
  readonly parallelizationFactor?: number;

  /**
   * The age at which Lambda discards a record: 60 seconds to 24 hours, and more than the function's `giveUpAfter`.
   *
   * @default Duration.hours(12)
   */
  readonly maxRecordAge?: Duration;

  /**
   * The retries after which Lambda discards a batch, 0 to 10,000, or -1 for no limit.
   *
   * A few retries are over within seconds, and then Lambda discards the good records of the batch too. The function itself
   * takes out what can never succeed, so Lambda only retries what waits for a dependency to recover.
   *
   * @default - no limit: the record age ends the retries
   */
  readonly retryAttempts?: number;

  /**
   * Whether Lambda halves a batch whose invocation failed as a whole.
   *
   * @default true
   */
  readonly bisectBatchOnError?: boolean;

  /**
   * Where a new mapping starts: with changes from now on, or with everything that the stream still holds. Lambda reads it
   * when the mapping is created. A later change would replace the mapping, which Lambda refuses while the old one exists.
   *
   * @default StartingPosition.LATEST
   */
  readonly startingPosition?: StartingPosition;

  /**
   * 1 to 5 patterns of up to 4,096 characters. A record reaches the function if it matches any of them. See
   * `FilterCriteria.filter`. DynamoDB writes numbers as strings, so numeric rules never match an `N`.
   *
   * @default - every record
   */
  readonly filters?: Array<{ [key: string]: any }>;

  /**
   * The path of a file with the processor's own filter, in place of `filters`: the JSON of `StreamProcessor::filter_criteria`, which drops
   * only what the processor would have skipped. `null` in it means every record. Keep the file next to the function's
   * code, with a test that compares the two. What a filter drops is lost, so deploy and roll back both together.
   *
   * @default - `filters`
   */
  readonly filterFile?: string;

  /**
   * The key that encrypts the filters. The policy of a key of this app gets a statement that lets Lambda decrypt them. An
   * imported key must have it already.
   *
   * @default - a key that AWS owns
   */
  readonly filterEncryption?: IKey;

  /**
   * Aggregates the results of a shard over windows of this length, 0 seconds to 15 minutes. A window takes one batch of a
   * shard at a time, so
   * `parallelizationFactor` is 1 with it.
   *
   * @default - no window
   */
  readonly tumblingWindow?: Duration;

  /**
   * Whether the mapping runs.
   *
   * @default true
   */
  readonly enabled?: boolean;
}

/** Properties of `StreamMapping`. */
export interface StreamMappingProps extends StreamMappingOptions {
  /** The table, which must have a stream. */
  readonly table: ITable;

  /** The function that is invoked, and whose role reads the stream. */
  readonly target: IFunction;

  /**
   * Who gets the permissions to read the stream and to write to `onFailure`.
   *
   * @default - the role of `target`
   */
  readonly grantee?: IGrantable;

  /** Where discarded batches go. */
  readonly onFailure: FailureDestination;

  /** The age at which a record that still fails becomes a dead letter in the function. */
  readonly giveUpAfter: Duration;
}

/** The event source mapping of a table's stream, with partial batch responses always on. */
export class StreamMapping extends Construct {
  /** The event source mapping. */
  readonly mapping: EventSourceMapping;

  constructor(scope: Construct, id: string, props: StreamMappingProps) {
    super(scope, id);
    const maxRecordAge = props.maxRecordAge ?? Duration.hours(12);
    this.checkProps(props, maxRecordAge);
    const grantee = props.grantee ?? props.target;
    grantStream(grantee, props.table);
    props.onFailure.grantWrite(grantee);
    if (props.filterEncryption) {
      allowFilters(this, props.filterEncryption);
    }
    this.mapping = this.createMapping(props, maxRecordAge);
    dependOn(this.mapping, grantee);
  }

  private checkProps(props: StreamMappingProps, maxRecordAge: Duration): void {
    checkStream(this, props.table);
    checkRange(this, 'batchSize', props.batchSize, 1, 10_000);
    checkRange(this, 'parallelizationFactor', props.parallelizationFactor, 1, 10);
    checkRange(this, 'retryAttempts', withoutLimit(props.retryAttempts), 0, 10_000);
    checkDuration(this, 'batchingWindow', props.batchingWindow, Duration.seconds(0), Duration.minutes(5));
    checkKnown(this, 'maxRecordAge', maxRecordAge);
    checkDuration(this, 'maxRecordAge', maxRecordAge, Duration.seconds(60), Duration.hours(24));
    this.checkGivesUpInTime(maxRecordAge, props.giveUpAfter);
    checkKnown(this, 'tumblingWindow', props.tumblingWindow);
    checkDuration(this, 'tumblingWindow', props.tumblingWindow, Duration.seconds(0), Duration.minutes(15));
    const { parallelizationFactor = 1 } = props;
    check(
      this,
      !props.tumblingWindow?.toSeconds() || Token.isUnresolved(parallelizationFactor) || parallelizationFactor === 1,
      `parallelizationFactor is ${parallelizationFactor}, but a tumblingWindow takes one batch of a shard at a time; leave it out`,
    );
    check(
      this,
      props.filters === undefined || props.filterFile === undefined,
      'filters and filterFile are both set; leave out one of them',
    );
    checkFilters(this, filtersOf(this, props));
  }

  private checkGivesUpInTime(maxRecordAge: Duration, giveUpAfter: Duration): void {
    check(
      this,
      maxRecordAge.toSeconds() > giveUpAfter.toSeconds(),
      `maxRecordAge (${maxRecordAge.toHumanString()}) is not above giveUpAfter (${giveUpAfter.toHumanString()}): Lambda would ` +
        'discard whole batches before the function makes dead letters of the records that fail; raise the one or lower the other',
    );
  }

  private createMapping(props: StreamMappingProps, maxRecordAge: Duration): EventSourceMapping {
    return new EventSourceMapping(this, 'Resource', {
      target: props.target,
      eventSourceArn: props.table.tableStreamArn!,
      startingPosition: props.startingPosition ?? StartingPosition.LATEST,
      batchSize: props.batchSize ?? 100,
      maxBatchingWindow: props.batchingWindow ?? Duration.seconds(5),
      parallelizationFactor: props.parallelizationFactor ?? (props.tumblingWindow?.toSeconds() ? 1 : 10),
      bisectBatchOnError: props.bisectBatchOnError ?? true,
      retryAttempts: withoutLimit(props.retryAttempts),
      maxRecordAge,
      reportBatchItemFailures: REPORT_BATCH_ITEM_FAILURES,
      supportS3OnFailureDestination: true,
      onFailure: { bind: () => ({ destination: props.onFailure.arn }) },
      filters: filtersOf(this, props),
      filterEncryption: props.filterEncryption,
      tumblingWindow: props.tumblingWindow,
      enabled: props.enabled ?? true,
      metricsConfig: { metrics: [MetricType.EVENT_COUNT] },
    });
  }
}

/** The patterns that were given, or those of the file. */
function filtersOf(scope: Construct, { filters, filterFile }: StreamMappingProps): Array<{ [key: string]: any }> | undefined {
  return filterFile === undefined ? filters : readFilterFile(scope, filterFile);
}

/** Lambda's own way to say that there is no limit is -1, which the CDK says by leaving it out. */
function withoutLimit(retryAttempts: number | undefined): number | undefined {
  return retryAttempts === -1 ? undefined : retryAttempts;
}

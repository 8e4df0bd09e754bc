import { Duration } from 'aws-cdk-lib';
import { Metric, Stats } from 'aws-cdk-lib/aws-cloudwatch';
import { IEventSourceMapping } from 'aws-cdk-lib/aws-lambda';

/** The metrics that the function itself writes, by the names that the crate gives them. */
export type StreamMetricName =
  | 'BatchDuration'
  | 'BatchSize'
  | 'BulkSize'
  | 'ColdStart'
  | 'ConcurrencyInUse'
  | 'DeadLetterDuration'
  | 'DeadLetterSendFailures'
  | 'DeadLetters'
  | 'DeadlineStops'
  | 'HandlerDuration'
  | 'IteratorAge'
  | 'MarkDuration'
  | 'MarkFailures'
  | 'MarkRegressions'
  | 'RecordAge'
  | 'RecordsAlreadyDone'
  | 'RecordsFailed'
  | 'RecordsHeldBack'
  | 'RecordsReceived'
  | 'RecordsRedelivered'
  | 'RecordsReported'
  | 'RecordsSkipped'
  | 'RecordsSucceeded'
  | 'RecordsWithoutLaneAttribute'
  | 'Retries';

/** Metrics of one processor: its own, and those of its event source mapping. */
export class StreamMetrics {
  constructor(
    /** The CloudWatch namespace. */
    readonly metricsNamespace: string,
    /** The value of the `service` dimension. */
    readonly serviceName: string,
    private readonly mapping: IEventSourceMapping,
  ) {}

  /** One of the function's own metrics, summed over a minute unless another statistic is asked for. */
  own(metricName: StreamMetricName, statistic: string = Stats.SUM): Metric {
    return new Metric({
      namespace: this.metricsNamespace,
      metricName,
      dimensionsMap: { service: this.serviceName },
      statistic,
      period: Duration.minutes(1),
    });
  }

  /** Records that the event source mapping discarded and handed to its on-failure destination. */
  discarded(): Metric {
    return this.ofMapping('OnFailureDestinationDeliveredEventCount');
  }

  /** Records that the event source mapping dropped, and that are at no on-failure destination. */
  dropped(): Metric {
    return this.ofMapping('DroppedEventCount');
  }

  /**
   * The polls of the stream by the event source mapping in five minutes, with or without records.
   *
   * Lambda emits `PolledEventCount` at each poll, 0 where the stream is empty, and nothing while the mapping does not poll.
   */
  polls(): Metric {
    return this.ofMapping('PolledEventCount').with({ statistic: Stats.SAMPLE_COUNT, period: Duration.minutes(5) });
  }

  /** A metric of the event source mapping, summed over a minute. */
  ofMapping(metricName: string): Metric {
    return new Metric({
      namespace: 'AWS/Lambda',
      metricName,
      dimensionsMap: { EventSourceMappingUUID: this.mapping.eventSourceMappingId },
      statistic: Stats.SUM,
      period: Duration.minutes(1),
    });
  }
}

import { Duration } from 'aws-cdk-lib';
import { RestApi } from 'aws-cdk-lib/aws-apigateway';
import { AlarmStatusWidget, Dashboard, GraphWidget, IMetric, IWidget, Stats, TextWidget } from 'aws-cdk-lib/aws-cloudwatch';
import { ITable } from 'aws-cdk-lib/aws-dynamodb';
import { IQueue } from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import type { ApiAlarms } from './api-alarms';
import { StreamMetrics } from './stream-metrics';
import type { StreamProcessor } from './stream-processor';

/** Properties of `StreamDashboard`. */
export interface StreamDashboardProps {
  /** The processor to show. */
  readonly processor: StreamProcessor;

  /** The table whose changes it processes. */
  readonly table: ITable;

  /**
   * The on-demand API, shown last.
   *
   * @default - none
   */
  readonly api?: RestApi;

  /**
   * The API's alarms, shown first with the processor's.
   *
   * @default - none
   */
  readonly apiAlarms?: ApiAlarms;
}

const COLUMNS = 24;

/** One dashboard whose rows follow a change: table, stream, function, records, idempotency table, dead letters, API. */
export class StreamDashboard extends Construct {
  /** The dashboard. */
  readonly dashboard: Dashboard;

  private rows = 0;

  constructor(scope: Construct, id: string, props: StreamDashboardProps) {
    super(scope, id);
    this.dashboard = new Dashboard(this, 'Resource', { defaultInterval: Duration.hours(3) });
    this.addAlarms(props);
    this.addTable(props.table);
    this.addStream(props.processor);
    this.addFunction(props.processor);
    this.addRecords(props.processor);
    if (props.processor.idempotencyTable) {
      this.addIdempotency(props.processor.metrics, props.processor.idempotencyTable);
    }
    this.addFailures(props.processor);
    if (props.api) {
      this.addApi(props.api);
    }
  }

  private addAlarms({ processor, apiAlarms }: StreamDashboardProps): void {
    const alarms = [...(processor.alarms?.alarms ?? []), ...(apiAlarms?.alarms ?? [])];
    if (alarms.length > 0) {
      this.dashboard.addWidgets(new AlarmStatusWidget({ title: 'Alarms', alarms, width: COLUMNS }));
    }
  }

  private addTable(table: ITable): void {
    const ofTable = { period: Duration.minutes(1), statistic: Stats.SUM };
    this.addRow('The table', [
      graph('Writes', [table.metric('ConsumedWriteCapacityUnits', ofTable)]),
      graph('Throttled requests', [table.metric('WriteThrottleEvents', ofTable)]),
    ]);
  }

  private addStream({ function: fn, metrics }: StreamProcessor): void {
    const age = { period: Duration.minutes(1), statistic: Stats.MAXIMUM };
    this.addRow('The stream and its event source mapping', [
      graph('How far the function lags (ms)', [fn.metric('IteratorAge', age), metrics.own('RecordAge', Stats.MAXIMUM)]),
      graph('Records polled, filtered out, handed over', [
        metrics.ofMapping('PolledEventCount'),
        metrics.ofMapping('FilteredOutEventCount'),
        metrics.ofMapping('InvokedEventCount'),
      ]),
      graph('Polls in five minutes', [metrics.polls().with({ label: 'Polls' })]),
      graph('Records discarded', [metrics.discarded(), metrics.dropped()]),
    ]);
  }

  private addFunction({ function: fn }: StreamProcessor): void {
    const minute = { period: Duration.minutes(1) };
    this.addRow('The function', [
      graph('Invocations, errors, throttles', [fn.metricInvocations(minute), fn.metricErrors(minute), fn.metricThrottles(minute)]),
      graph('Duration (ms)', [
        fn.metricDuration({ ...minute, statistic: 'p50', label: 'p50' }),
        fn.metricDuration({ ...minute, statistic: 'p99', label: 'p99' }),
        fn.metricDuration({ ...minute, statistic: Stats.MAXIMUM, label: 'max' }),
      ]),
      graph('Concurrent executions', [fn.metric('ConcurrentExecutions', { ...minute, statistic: Stats.MAXIMUM })]),
    ]);
  }

  private addRecords({ metrics }: StreamProcessor): void {
    this.addRow('The records', [
      graph('Outcomes', [
        metrics.own('RecordsReceived'),
        metrics.own('RecordsSucceeded'),
        metrics.own('RecordsSkipped'),
        metrics.own('RecordsFailed'),
      ]),
      graph('What is delivered again', [
        metrics.own('RecordsReported'),
        metrics.own('RecordsHeldBack'),
        metrics.own('RecordsRedelivered'),
        metrics.own('Retries'),
        metrics.own('DeadlineStops'),
      ]),
      graph('Handlers (ms)', [metrics.own('HandlerDuration', 'p50'), metrics.own('HandlerDuration', 'p99')]),
    ]);
  }

  private addIdempotency(metrics: StreamMetrics, table: ITable): void {
    const sum = { period: Duration.minutes(1), statistic: Stats.SUM };
    this.addRow('What is already done', [
      graph('Records skipped as done', [metrics.own('RecordsAlreadyDone')]),
      graph('Failed calls, regressions', [
        metrics.own('MarkFailures').with({ period: Duration.minutes(5) }),
        metrics.own('MarkRegressions'),
      ]),
      graph('Calls of the idempotency table (ms)', [metrics.own('MarkDuration', 'p50'), metrics.own('MarkDuration', 'p99')]),
      graph('Its throttled reads and writes', [table.metric('ReadThrottleEvents', sum), table.metric('WriteThrottleEvents', sum)]),
    ]);
  }

  private addFailures(processor: StreamProcessor): void {
    const { metrics, function: fn } = processor;
    const queues = queuesOf(processor);
    const minute = { period: Duration.minutes(1) };
    const ofQueue = ({ label }: LabelledQueue) => ({ ...minute, statistic: Stats.MAXIMUM, label });
    this.addRow('What failed for good', [
      graph('Dead letters sent, and not taken', [metrics.own('DeadLetters'), metrics.own('DeadLetterSendFailures')]),
      graph('Not delivered to a destination', [fn.metric('DestinationDeliveryFailures', { ...minute, statistic: Stats.SUM })]),
      graph('Messages that wait', queues.map((it) => it.queue.metricApproximateNumberOfMessagesVisible(ofQueue(it)))),
      graph('Age of the oldest message (s)', queues.map((it) => it.queue.metricApproximateAgeOfOldestMessage(ofQueue(it)))),
    ]);
  }

  private addApi(api: RestApi): void {
    const minute = { period: Duration.minutes(1) };
    this.addRow('The on-demand API', [
      graph('Requests, refused, failed', [
        api.metricCount(minute),
        api.metricClientError(minute),
        api.metricServerError(minute),
      ]),
      graph('Latency (ms)', [api.metricLatency({ ...minute, statistic: 'p99' })]),
      graph('Cache', [api.metricCacheHitCount(minute), api.metricCacheMissCount(minute)]),
    ]);
  }

  private addRow(title: string, graphs: ((width: number) => IWidget)[]): void {
    this.rows += 1;
    this.dashboard.addWidgets(new TextWidget({ markdown: `## ${this.rows}. ${title}`, width: COLUMNS, height: 1 }));
    this.dashboard.addWidgets(...graphs.map((widget) => widget(COLUMNS / graphs.length)));
  }
}

interface LabelledQueue {
  readonly label: string;
  readonly queue: IQueue;
}

function queuesOf({ deadLetterQueue, redrive, failedInvocations }: StreamProcessor): LabelledQueue[] {
  return [
    { label: 'Dead letters', queue: deadLetterQueue },
    ...(redrive ? [{ label: 'Redrive', queue: redrive.queue }] : []),
    ...(failedInvocations ? [{ label: 'Failed invocations', queue: failedInvocations }] : []),
  ];
}

function graph(title: string, left: IMetric[]): (width: number) => IWidget {
  return (width) => new GraphWidget({ title, left, width, leftYAxis: { min: 0 } });
}

export { type AlarmGroupOptions, type AlarmOptions } from './alarm-options';
export { AlarmTopic, type AlarmTopicProps } from './alarm-topic';
export { ApiAlarms, type ApiAlarmsProps } from './api-alarms';
export { ApiGatewayAccountStack } from './api-gateway-account';
export { EncryptedQueue, type EncryptedQueueProps } from './encrypted-queue';
export { EncryptionKey, type EncryptionKeyProps } from './encryption-key';
export { DiscardedBatchesBucket, type DiscardedBatchesBucketProps, FailureDestination } from './failure-destination';
export { type AcceptedFinding, Findings } from './findings';
export { type IdempotencyOptions } from './idempotency';
export { IdempotencyTable, type IdempotencyTableProps } from './idempotency-table';
export { OnDemandApi } from './on-demand-api';
export { type OnDemandApiProps } from './on-demand-api-props';
export { type CargoCodeOptions, ProcessorCode } from './processor-code';
export { ProcessorFunction, type ProcessorFunctionProps } from './processor-function';
export {
  type ManagedInstancesOptions,
  type ProcessorAliasOptions,
  type ProcessorFunctionOptions,
} from './processor-function-options';
export { LogLevel, type ProcessorSettings, type ResolvedSettings } from './processor-settings';
export { Redrive, type RedriveProps } from './redrive';
export { type StreamAlarmOptions, StreamAlarms, type StreamAlarmsProps } from './stream-alarms';
export { StreamDashboard, type StreamDashboardProps } from './stream-dashboard';
export { StreamMapping, type StreamMappingOptions, type StreamMappingProps } from './stream-mapping';
export { type StreamMetricName, StreamMetrics } from './stream-metrics';
export { StreamProcessor } from './stream-processor';
export { type StreamProcessorProps } from './stream-processor-props';

import { AccessLogField, AccessLogFormat } from 'aws-cdk-lib/aws-apigateway';

const field = AccessLogField;
/** One JSON object a request: who asked for what, and how it went; no bodies, no keys. */
export const ACCESS_LOG_FORMAT = AccessLogFormat.custom(
  JSON.stringify({
    requestId: field.contextRequestId(),
    extendedRequestId: field.contextExtendedRequestId(),
    requestTime: field.contextRequestTime(),
    sourceIp: field.contextIdentitySourceIp(),
    caller: field.contextIdentityUserArn(),
    apiKeyId: field.contextIdentityApiKeyId(),
    httpMethod: field.contextHttpMethod(),
    resourcePath: field.contextResourcePath(),
    protocol: field.contextProtocol(),
    status: field.contextStatus(),
    responseLength: field.contextResponseLength(),
    responseLatencyMs: field.contextResponseLatency(),
    integrationLatencyMs: field.contextIntegrationLatency(),
    integrationStatus: field.contextIntegrationStatus(),
    traceId: field.contextXrayTraceId(),
    error: field.contextErrorMessage(),
  }),
);

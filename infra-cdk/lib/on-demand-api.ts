import { Duration, Names, RemovalPolicy, Size } from 'aws-cdk-lib';
import {
  AccessLogField,
  AccessLogFormat,
  ApiKeySourceType,
  AuthorizationType,
  Deployment,
  EndpointType,
  IApiKey,
  IpAddressType,
  LambdaIntegration,
  LogGroupLogDestination,
  MethodLoggingLevel,
  Model,
  PassthroughBehavior,
  Period,
  RequestValidator,
  RestApi,
  ThrottleSettings,
} from 'aws-cdk-lib/aws-apigateway';
import { IKey } from 'aws-cdk-lib/aws-kms';
import { CfnFunction, Function, IFunction } from 'aws-cdk-lib/aws-lambda';
import { LogGroup, RetentionDays } from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';
import { check } from './checks';
import { acceptFinding } from './findings';
import { allowListPolicy, checkAllowList } from './ip-allow-list';
import { RECORDS_SCHEMA } from './records-model';

/** Properties of `OnDemandApi`. */
export interface OnDemandApiProps {
  /** Answers `GET /process` and `POST /process`; best a function of its own, so that callers take nothing from the stream. */
  readonly handler: IFunction;

  /** The ranges that may call, in CIDR notation. */
  readonly allowedCidrs: string[];

  /** Encrypts the logs; its policy lets CloudWatch Logs use it. */
  readonly encryptionKey: IKey;

  /**
   * The stage's name.
   *
   * @default 'v1'
   */
  readonly stageName?: string;

  /**
   * Whether `POST` is signed with IAM, beside the API key.
   *
   * @default true
   */
  readonly iamAuthorization?: boolean;

  /**
   * Requests a second and at once, of all callers together; the burst stays below the handler's reserved concurrency.
   *
   * @default - 100 a second, 200 at once
   */
  readonly throttle?: ThrottleSettings;

  /**
   * Requests a second and at once, of one API key.
   *
   * @default - 100 a second, 200 at once
   */
  readonly throttlePerKey?: ThrottleSettings;

  /**
   * Requests a day, of one API key.
   *
   * @default 10_000
   */
  readonly quotaPerDay?: number;

  /**
   * Whether `GET` is answered from a cache of 0.5 GB for five minutes; it is paid by the hour.
   *
   * @default true
   */
  readonly cache?: boolean;

  /**
   * How long logs are kept.
   *
   * @default RetentionDays.ONE_MONTH
   */
  readonly logRetention?: RetentionDays;

  /**
   * What becomes of the log groups when the stack is deleted.
   *
   * @default RemovalPolicy.RETAIN
   */
  readonly removalPolicy?: RemovalPolicy;
}

const PATH = '/process';
// The default quota of a regional API's integration time-out (API Gateway developer guide, "Quotas").
const API_TIMEOUT = Duration.seconds(29);
const DEFAULT_THROTTLE: ThrottleSettings = { rateLimit: 100, burstLimit: 200 };

/** A REST API that runs records through a function on demand, closed to all but an allow-list. */
export class OnDemandApi extends Construct {
  /** The REST API. */
  readonly api: RestApi;
  /** The key that every call carries in the header `x-api-key`. */
  readonly apiKey: IApiKey;
  /** The log group of the access log: one line of JSON a request. */
  readonly accessLogs: LogGroup;

  private readonly cidrs: string[];
  private readonly stageName: string;

  constructor(scope: Construct, id: string, private readonly props: OnDemandApiProps) {
    super(scope, id);
    this.cidrs = checkAllowList(this, props.allowedCidrs);
    this.stageName = props.stageName ?? 'v1';
    this.checkTimeout();
    this.checkThrottle();
    this.accessLogs = this.createLogGroup('AccessLogs');
    this.api = this.createApi();
    this.createExecutionLogs();
    this.createMethods();
    this.apiKey = this.createKeyAndPlan();
    this.acceptFindings();
  }

  /** The URL of the endpoint. */
  get endpoint(): string {
    return this.api.urlForPath(PATH);
  }

  private checkTimeout(): void {
    const { handler } = this.props;
    const timeout = handler instanceof Function ? handler.timeout : undefined;
    check(
      this,
      timeout === undefined || timeout.toMilliseconds() <= API_TIMEOUT.toMilliseconds(),
      `the handler's timeout is ${timeout?.toHumanString()}, but API Gateway answers 504 after ${API_TIMEOUT.toHumanString()} while the ` +
        'handler goes on; give the API a function with a timeout of 29 seconds at most',
    );
  }

  private checkThrottle(): void {
    const { defaultChild } = this.props.handler.node;
    const reserved = defaultChild instanceof CfnFunction ? defaultChild.reservedConcurrentExecutions : undefined;
    const burst = this.throttle.burstLimit;
    check(
      this,
      reserved === undefined || burst === undefined || burst < reserved,
      `the stage lets ${burst} requests through at once, but the handler has ${reserved} concurrent executions; ` +
        'a throttled function is a 500, a throttled stage a 429: lower the burst or reserve more',
    );
  }

  private get throttle(): ThrottleSettings {
    return this.props.throttle ?? DEFAULT_THROTTLE;
  }

  private createLogGroup(id: string, logGroupName?: string): LogGroup {
    return new LogGroup(this, id, {
      logGroupName,
      encryptionKey: this.props.encryptionKey,
      retention: this.props.logRetention ?? RetentionDays.ONE_MONTH,
      removalPolicy: this.props.removalPolicy ?? RemovalPolicy.RETAIN,
    });
  }

  private createApi(): RestApi {
    const overIpv6 = this.cidrs.some((cidr) => cidr.includes(':'));
    const api = new RestApi(this, 'Resource', {
      // CloudWatch knows an API by its name alone: one name for each stage, or their alarms and graphs mix.
      restApiName: Names.uniqueResourceName(this, { maxLength: 64, separator: '-' }),
      description: 'Runs DynamoDB stream records through the processor on demand',
      endpointConfiguration: {
        types: [EndpointType.REGIONAL],
        ipAddressType: overIpv6 ? IpAddressType.DUAL_STACK : undefined,
      },
      policy: allowListPolicy(this.cidrs, this.stageName, PATH, [
        { httpMethod: 'GET', signed: false },
        { httpMethod: 'POST', signed: this.props.iamAuthorization ?? true },
      ]),
      apiKeySourceType: ApiKeySourceType.HEADER,
      minCompressionSize: Size.kibibytes(1),
      // Who may write API Gateway's logs is a setting of the account, not of one API: see `ApiGatewayAccount`.
      cloudWatchRole: false,
      deployOptions: this.stageOptions(),
    });
    // The CDK makes an output of every API's root, where nothing answers.
    api.node.tryRemoveChild('Endpoint');
    return api;
  }

  private stageOptions() {
    const cache = this.props.cache ?? true;
    return {
      stageName: this.stageName,
      tracingEnabled: true,
      loggingLevel: MethodLoggingLevel.ERROR,
      dataTraceEnabled: false,
      throttlingRateLimit: this.throttle.rateLimit,
      throttlingBurstLimit: this.throttle.burstLimit,
      accessLogDestination: new LogGroupLogDestination(this.accessLogs),
      accessLogFormat: ACCESS_LOG_FORMAT,
      cacheClusterEnabled: cache,
      cacheClusterSize: cache ? '0.5' : undefined,
      cachingEnabled: false,
      methodOptions: cache ? { [`${PATH}/GET`]: this.cachedMethod() } : undefined,
    };
  }

  // A method's settings replace the stage's as a whole, so that all of them are said again.
  private cachedMethod() {
    return {
      cachingEnabled: true,
      cacheDataEncrypted: true,
      cacheTtl: Duration.minutes(5),
      loggingLevel: MethodLoggingLevel.ERROR,
      dataTraceEnabled: false,
      throttlingRateLimit: this.throttle.rateLimit,
      throttlingBurstLimit: this.throttle.burstLimit,
    };
  }

  // API Gateway would make this group itself, unencrypted and for ever, at the first error that it logs.
  private createExecutionLogs(): void {
    const name = `API-Gateway-Execution-Logs_${this.api.restApiId}/${this.stageName}`;
    this.api.deploymentStage.node.addDependency(this.createLogGroup('ExecutionLogs', name));
  }

  private createMethods(): void {
    const process = this.api.root.addResource(PATH.slice(1));
    const integration = new LambdaIntegration(this.props.handler, {
      proxy: true,
      timeout: API_TIMEOUT,
      allowTestInvoke: false,
      passthroughBehavior: PassthroughBehavior.NEVER,
    });
    process.addMethod('GET', integration, { apiKeyRequired: true, authorizationType: AuthorizationType.NONE });
    const signed = this.props.iamAuthorization ?? true;
    process.addMethod('POST', integration, {
      apiKeyRequired: true,
      authorizationType: signed ? AuthorizationType.IAM : AuthorizationType.NONE,
      requestModels: { 'application/json': this.createModel() },
      requestValidator: new RequestValidator(this, 'BodyValidator', {
        restApi: this.api,
        validateRequestBody: true,
        validateRequestParameters: true,
      }),
    });
  }

  private createModel(): Model {
    // A deployment is a snapshot: without this a changed schema would not reach the stage.
    (this.api.latestDeployment as Deployment).addToLogicalId({ schema: RECORDS_SCHEMA });
    return this.api.addModel('RecordsModel', { contentType: 'application/json', schema: RECORDS_SCHEMA });
  }

  private createKeyAndPlan(): IApiKey {
    const plan = this.api.addUsagePlan('UsagePlan', {
      throttle: this.props.throttlePerKey ?? DEFAULT_THROTTLE,
      quota: { limit: this.props.quotaPerDay ?? 10_000, period: Period.DAY },
      apiStages: [{ api: this.api, stage: this.api.deploymentStage }],
    });
    const key = this.api.addApiKey('ApiKey');
    plan.addApiKey(key);
    return key;
  }

  private acceptFindings(): void {
    const { deploymentStage, root } = this.api;
    acceptFinding(deploymentStage.node.defaultChild!, {
      nag: ['AwsSolutions-APIG3'],
      reason: 'The resource policy lets in an allow-list alone; a web firewall in front of it would have nothing left to do.',
    });
    const process = root.getResource(PATH.slice(1))!;
    for (const [method, signed] of [['GET', false], ['POST', this.props.iamAuthorization ?? true]] as const) {
      acceptFinding(process.node.findChild(method).node.defaultChild!, {
        nag: ['AwsSolutions-COG4', ...(signed ? [] : ['AwsSolutions-APIG4'])],
        reason: 'Callers are machines: an address of the allow-list and an API key, and for POST an IAM signature, stand for them.',
      });
    }
  }
}

const field = AccessLogField;
const ACCESS_LOG_FORMAT = AccessLogFormat.custom(
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

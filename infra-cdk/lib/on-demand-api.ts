import { Duration, Names, RemovalPolicy, Size, Token } from 'aws-cdk-lib';
import {
  ApiKeySourceType,
  AuthorizationType,
  CfnRestApi,
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
import { Alias, CfnFunction, Function, IFunction } from 'aws-cdk-lib/aws-lambda';
import { LogGroup, RetentionDays } from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';
import { ACCESS_LOG_FORMAT } from './access-log';
import { check, checkRange } from './checks';
import { EncryptionKey } from './encryption-key';
import { acceptFinding } from './findings';
import { allowListPolicy, checkAllowList } from './ip-allow-list';
import { allowLogs } from './key-policies';
import { OnDemandApiProps } from './on-demand-api-props';
import { MAX_RECORDS, recordsSchema } from './records-model';

const PATH = '/process';
// The default quota of a regional API's integration timeout (API Gateway developer guide, "Quotas").
const API_TIMEOUT = Duration.seconds(29);
const SECURITY_POLICY = 'SecurityPolicy_TLS13_1_2_2021_06';
/** As many records as Lambda delivers in a batch at most. */
const MOST_RECORDS = 10_000;
const DEFAULT_THROTTLE: ThrottleSettings = { rateLimit: 100, burstLimit: 200 };

/** A REST API that runs records through a function on demand, closed to everyone except an allow-list. */
export class OnDemandApi extends Construct {
  /** The REST API. */
  readonly api: RestApi;
  /** The key that every call carries in the header `x-api-key`. */
  readonly apiKey: IApiKey;
  /** The log group of the access log: one line of JSON per request. */
  readonly accessLogs: LogGroup;

  private readonly encryptionKey: IKey;
  private readonly cidrs: string[];
  private readonly stageName: string;

  constructor(scope: Construct, id: string, private readonly props: OnDemandApiProps) {
    super(scope, id);
    this.cidrs = checkAllowList(this, props.allowedCidrs);
    this.stageName = props.stageName ?? 'v1';
    this.checkNames();
    this.checkTimeout();
    this.checkThrottle();
    this.encryptionKey = props.encryptionKey ?? this.createKey();
    allowLogs(this, this.encryptionKey);
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

  private checkNames(): void {
    const { securityPolicy, maxRecords } = this.props;
    check(
      this,
      Token.isUnresolved(this.stageName) || /^[A-Za-z0-9_-]{1,128}$/.test(this.stageName),
      `stageName is "${this.stageName}"; write 1 to 128 letters, digits, hyphens and underscores, like v1`,
    );
    check(
      this,
      securityPolicy === undefined || Token.isUnresolved(securityPolicy) || /^SecurityPolicy_\w+(?<!_EDGE)$/.test(securityPolicy),
      `securityPolicy is "${securityPolicy}"; write one of API Gateway's for regional APIs, like ${SECURITY_POLICY}`,
    );
    checkRange(this, 'maxRecords', maxRecords, 1, MOST_RECORDS);
  }

  private checkTimeout(): void {
    const { unqualified } = this;
    const timeout = unqualified instanceof Function ? unqualified.timeout : undefined;
    check(
      this,
      timeout === undefined || timeout.toMilliseconds() <= API_TIMEOUT.toMilliseconds(),
      `the handler's timeout is ${timeout?.toHumanString()}, but API Gateway answers 504 after ${API_TIMEOUT.toHumanString()} while the ` +
        'handler goes on; give the API a function with a timeout of 29 seconds at most',
    );
  }

  private checkThrottle(): void {
    const { defaultChild } = this.unqualified.node;
    const reserved = defaultChild instanceof CfnFunction ? defaultChild.reservedConcurrentExecutions : undefined;
    const burst = this.throttle.burstLimit;
    check(
      this,
      reserved === undefined || burst === undefined || burst < reserved,
      `the stage lets ${burst} requests through at once, but the handler has ${reserved} concurrent executions; ` +
        'a throttled function is a 500, a throttled stage a 429: lower the burst or reserve more',
    );
  }

  /** The function itself where the handler is an alias of this app, which has neither timeout nor concurrency of its own. */
  private get unqualified(): IFunction {
    const { handler } = this.props;
    return handler instanceof Alias ? handler.lambda : handler;
  }

  private get throttle(): ThrottleSettings {
    return this.props.throttle ?? DEFAULT_THROTTLE;
  }

  private createKey(): IKey {
    return new EncryptionKey(this, 'Key', {
      description: `The logs of ${this.node.path}`,
      removalPolicy: this.props.removalPolicy,
    });
  }

  private createLogGroup(id: string, logGroupName?: string): LogGroup {
    return new LogGroup(this, id, {
      logGroupName,
      encryptionKey: this.encryptionKey,
      retention: this.props.logRetention ?? RetentionDays.ONE_MONTH,
      removalPolicy: this.props.removalPolicy ?? RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE,
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
      policy: allowListPolicy(this, this.cidrs, this.stageName, PATH, [
        { httpMethod: 'GET', signed: false },
        { httpMethod: 'POST', signed: this.props.iamAuthorization ?? true },
      ]),
      apiKeySourceType: ApiKeySourceType.HEADER,
      minCompressionSize: Size.kibibytes(1),
      // Who may write API Gateway's logs is a setting of the account, not of one API: see `ApiGatewayAccountStack`.
      cloudWatchRole: false,
      deployOptions: this.stageOptions(),
    });
    // The CDK makes an output of every API's root, where nothing answers.
    api.node.tryRemoveChild('Endpoint');
    this.refuseOldTls(api);
    return api;
  }

  /**
   * A regional API takes TLS 1.0 unless it is told otherwise. A property override, since older versions of the CDK do not know the
   * properties. `BASIC` leaves the routing of requests as it is; `STRICT` would refuse callers that come by another host name.
   */
  private refuseOldTls(api: RestApi): void {
    const resource = api.node.defaultChild as CfnRestApi;
    resource.addPropertyOverride('SecurityPolicy', this.props.securityPolicy ?? SECURITY_POLICY);
    resource.addPropertyOverride('EndpointAccessMode', 'BASIC');
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

  // A method's settings replace the stage's as a whole, so all of them are said again.
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

  // API Gateway would make this group itself, unencrypted and without expiry, at the first error that it logs.
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
    const schema = recordsSchema(this.props.maxRecords ?? MAX_RECORDS);
    (this.api.latestDeployment as Deployment).addToLogicalId({ schema });
    return this.api.addModel('RecordsModel', { contentType: 'application/json', schema });
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
        reason: 'Callers are machines: an address of the allow-list and an API key, and for POST an IAM signature, identify them.',
      });
    }
  }
}

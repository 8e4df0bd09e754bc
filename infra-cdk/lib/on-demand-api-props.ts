import { RemovalPolicy } from 'aws-cdk-lib';
import { ThrottleSettings } from 'aws-cdk-lib/aws-apigateway';
import { IKey } from 'aws-cdk-lib/aws-kms';
import { IFunction } from 'aws-cdk-lib/aws-lambda';
import { RetentionDays } from 'aws-cdk-lib/aws-logs';

/** Properties of `OnDemandApi`. */
export interface OnDemandApiProps {
  /** The function that answers `GET /process` and `POST /process`. Best a separate function, so callers take no concurrency from the
   * stream. */
  readonly handler: IFunction;

  /** The address ranges that may call the API, in CIDR notation: public ranges without bits after the prefix, at most as large as /8 for
   * IPv4 and /16 for IPv6. */
  readonly allowedCidrs: string[];

  /**
   * The key that encrypts the logs. The policy of a key of this app gets the statement that CloudWatch Logs needs. An
   * imported key must have it already.
   *
   * @default - a new key that rotates every year
   */
  readonly encryptionKey?: IKey;

  /**
   * The oldest TLS version and the ciphers that callers may use: one of API Gateway's `SecurityPolicy_…` names for regional APIs.
   *
   * @default 'SecurityPolicy_TLS13_1_2_2021_06': TLS 1.2 and 1.3
   */
  readonly securityPolicy?: string;

  /**
   * The most records in one `POST` request. Not more than the function accepts.
   *
   * @default 100, as many as the function of `examples/stream-processor`
   */
  readonly maxRecords?: number;

  /**
   * The stage's name: letters, digits, hyphens and underscores, up to 128.
   *
   * @default 'v1'
   */
  readonly stageName?: string;

  /**
   * Whether `POST` must be signed with IAM, in addition to the API key.
   *
   * @default true
   */
  readonly iamAuthorization?: boolean;

  /**
   * The requests per second and at a time, of all callers together. The burst must be below the handler's reserved concurrency.
   *
   * @default - 100 per second, 200 at a time
   */
  readonly throttle?: ThrottleSettings;

  /**
   * The requests per second and at a time, of one API key.
   *
   * @default - 100 per second, 200 at a time
   */
  readonly throttlePerKey?: ThrottleSettings;

  /**
   * The requests per day, of one API key.
   *
   * @default 10_000
   */
  readonly quotaPerDay?: number;

  /**
   * Whether `GET` is answered from a cache of 0.5 GB for five minutes. The cache is billed by the hour.
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
   * What happens to the log groups, and to the key that the construct creates, when the stack is deleted.
   *
   * @default RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE
   */
  readonly removalPolicy?: RemovalPolicy;
}

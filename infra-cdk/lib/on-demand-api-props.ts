import { RemovalPolicy } from 'aws-cdk-lib';
import { ThrottleSettings } from 'aws-cdk-lib/aws-apigateway';
import { IKey } from 'aws-cdk-lib/aws-kms';
import { IFunction } from 'aws-cdk-lib/aws-lambda';
import { RetentionDays } from 'aws-cdk-lib/aws-logs';

/** Properties of `OnDemandApi`. */
export interface OnDemandApiProps {
  /** Answers `GET /process` and `POST /process`; best a function of its own, so that callers take nothing from the stream. */
  readonly handler: IFunction;

  /** The ranges that may call, in CIDR notation: public ones, without bits after the prefix, IPv4 from /8 and IPv6 from /16 on. */
  readonly allowedCidrs: string[];

  /**
   * Encrypts the logs. The policy of a key of this app gets the statement that CloudWatch Logs needs; an imported key must have it.
   *
   * @default - a new key that rotates every year
   */
  readonly encryptionKey?: IKey;

  /**
   * The oldest version of TLS and the ciphers that callers may use: one of API Gateway's `SecurityPolicy_…` for regional APIs.
   *
   * @default 'SecurityPolicy_TLS13_1_2_2021_06': TLS 1.2 and 1.3
   */
  readonly securityPolicy?: string;

  /**
   * Records that `POST` takes in one request; at most as many as the function does.
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
   * What happens to the log groups, and of the key that is made, when the stack is deleted.
   *
   * @default RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE
   */
  readonly removalPolicy?: RemovalPolicy;
}

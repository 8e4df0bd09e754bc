import { Duration } from 'aws-cdk-lib';
import { RestApi } from 'aws-cdk-lib/aws-apigateway';
import { Alarm } from 'aws-cdk-lib/aws-cloudwatch';
import { Construct } from 'constructs';
import { AlarmGroupOptions, AlarmOptions, createAlarms } from './alarm-options';

/** Properties of `ApiAlarms`. */
export interface ApiAlarmsProps extends AlarmGroupOptions {
  /** The API that is watched. */
  readonly api: RestApi;

  /**
   * The API refuses requests. The threshold is their number in five minutes.
   *
   * @default - 50 requests or more in five minutes
   */
  readonly clientErrors?: AlarmOptions;

  /**
   * The API fails to answer. The threshold is the number of requests in a minute.
   *
   * @default - one request or more in a minute
   */
  readonly serverErrors?: AlarmOptions;
}

/** Alarms for requests that an API refuses or fails. */
export class ApiAlarms extends Construct {
  /** The alarms that are not turned off. */
  readonly alarms: Alarm[];

  constructor(scope: Construct, id: string, props: ApiAlarmsProps) {
    super(scope, id);
    const clientErrors = {
      id: 'ClientErrors',
      metric: props.api.metricClientError({ period: Duration.minutes(5) }),
      threshold: 50,
      description: 'Many requests are refused: a wrong key or signature, a body that does not hold records, or too many requests.',
      options: props.clientErrors,
    };
    const serverErrors = {
      id: 'ServerErrors',
      metric: props.api.metricServerError({ period: Duration.minutes(1) }),
      threshold: 1,
      description: 'The API failed to answer: the function crashed, was throttled or took longer than 29 seconds.',
      options: props.serverErrors,
    };
    this.alarms = createAlarms(this, [clientErrors, serverErrors], props);
  }
}

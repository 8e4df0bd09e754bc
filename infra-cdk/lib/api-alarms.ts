import { Duration } from 'aws-cdk-lib';
import { RestApi } from 'aws-cdk-lib/aws-apigateway';
import { Alarm, IAlarmAction } from 'aws-cdk-lib/aws-cloudwatch';
import { Construct } from 'constructs';
import { createAlarm } from './stream-alarms';

/** Properties of `ApiAlarms`. */
export interface ApiAlarmsProps {
  /** The API that is watched. */
  readonly api: RestApi;

  /**
   * What an alarm does when it goes off and when it is over.
   *
   * @default - nothing: the alarms show in the console alone
   */
  readonly actions?: IAlarmAction[];

  /**
   * Refused requests in five minutes that are worth a look.
   *
   * @default 50
   */
  readonly clientErrors?: number;
}

/** Alarms for requests that an API refuses or fails. */
export class ApiAlarms extends Construct {
  /** The alarms: one for refused requests, one for failed ones. */
  readonly alarms: Alarm[];

  constructor(scope: Construct, id: string, props: ApiAlarmsProps) {
    super(scope, id);
    this.alarms = [this.ofClients(props), this.ofServer(props)];
  }

  private ofClients(props: ApiAlarmsProps): Alarm {
    const watch = {
      id: 'ClientErrors',
      metric: props.api.metricClientError({ period: Duration.minutes(5) }),
      threshold: props.clientErrors ?? 50,
      description: 'Many requests are refused: a wrong key or signature, a body that is no records, or too many requests.',
    };
    return createAlarm(this, watch, props.actions);
  }

  private ofServer(props: ApiAlarmsProps): Alarm {
    const watch = {
      id: 'ServerErrors',
      metric: props.api.metricServerError({ period: Duration.minutes(1) }),
      threshold: 1,
      description: 'The API failed to answer: the function crashed, was throttled or took longer than 29 seconds.',
    };
    return createAlarm(this, watch, props.actions);
  }
}

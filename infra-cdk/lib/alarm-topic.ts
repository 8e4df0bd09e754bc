import { Stack } from 'aws-cdk-lib';
import { PolicyStatement, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { IKey } from 'aws-cdk-lib/aws-kms';
import { Topic } from 'aws-cdk-lib/aws-sns';
import { EmailSubscription } from 'aws-cdk-lib/aws-sns-subscriptions';
import { Construct } from 'constructs';
import { acceptFinding } from './findings';
import { allowAlarms } from './key-policies';

/** Properties of `AlarmTopic`. */
export interface AlarmTopicProps {
  /** The key that encrypts the messages. The policy of a key of this app gets the statement that CloudWatch needs. An imported key must
   * have it already. */
  readonly encryptionKey: IKey;

  /**
   * The address that gets a mail for each alarm, once the subscription is confirmed.
   *
   * @default - nobody
   */
  readonly email?: string;
}

/** An encrypted topic that alarms of this account publish to. */
export class AlarmTopic extends Topic {
  constructor(scope: Construct, id: string, props: AlarmTopicProps) {
    super(scope, id, { masterKey: props.encryptionKey, enforceSSL: true });
    allowAlarms(this, props.encryptionKey);
    this.allowAlarms();
    if (props.email) {
      this.subscribe(props.email);
    }
  }

  private subscribe(email: string): void {
    const subscription = this.addSubscription(new EmailSubscription(email));
    acceptFinding(subscription, {
      nag: ['Serverless-SNSRedrivePolicy'],
      reason: 'The console still shows an alarm whose mail is not delivered; nobody would read a queue of lost mails.',
    });
  }

  // Your own policy, as TLS needs, replaces the default one that lets CloudWatch publish.
  private allowAlarms(): void {
    this.addToResourcePolicy(
      new PolicyStatement({
        sid: 'PublishAlarmsOfThisAccount',
        principals: [new ServicePrincipal('cloudwatch.amazonaws.com')],
        actions: ['sns:Publish'],
        resources: [this.topicArn],
        conditions: { StringEquals: { 'aws:SourceAccount': Stack.of(this).account } },
      }),
    );
  }
}

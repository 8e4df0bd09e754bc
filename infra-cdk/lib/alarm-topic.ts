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
  /** Encrypts the messages. The policy of a key of this app gets the statement that CloudWatch needs; an imported key must have it. */
  readonly encryptionKey: IKey;

  /**
   * Who gets a mail of each alarm, after confirming the subscription.
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
      reason: 'An alarm whose mail is not delivered still stands in the console; nobody would read a queue of lost mails.',
    });
  }

  // A policy of one's own, as TLS needs, takes the place of the default one that lets CloudWatch publish.
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

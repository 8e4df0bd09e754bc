import { Duration, Stack } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { SnsAction } from 'aws-cdk-lib/aws-cloudwatch-actions';
import { Topic } from 'aws-cdk-lib/aws-sns';
import { Queue } from 'aws-cdk-lib/aws-sqs';
import { describe, expect, it } from 'vitest';
import { AlarmOptions, ProcessorCode, StreamAlarmOptions, StreamProcessor } from '../lib';
import { BOOTSTRAP, newApp, newTable, processorTemplate, referred, resource, resources } from './support';
import { differences } from './template-diff';

const props = { redrive: true, idempotency: true };
const plain = processorTemplate(props);
const names = Object.keys(resources(plain, 'AWS::CloudWatch::Alarm')).map((id) => id.replace(/^ProcessorAlarms(.*)[0-9A-F]{8}$/, '$1'));
const withAlarm = (name: string, options: AlarmOptions) =>
  processorTemplate({ ...props, alarms: { [name[0]!.toLowerCase() + name.slice(1)]: options } as StreamAlarmOptions });
const alarmOf = (template: Template, name: string) => resource(template, 'AWS::CloudWatch::Alarm', `Alarms${name}`).Properties;

describe('each alarm', () => {
  it.each(names)('%s has a switch, a threshold, its periods and its runbook', (name) => {
    const id = `CloudWatch::Alarm(ProcessorAlarms${name})`;
    expect(differences(plain, withAlarm(name, { enabled: false }))).toEqual([`- ${id}`]);
    expect(differences(plain, withAlarm(name, { threshold: 7, evaluationPeriods: 9 }))).toEqual([`${id}/EvaluationPeriods`, `${id}/Threshold`]);
    const url = 'https://wiki.example.com/orders';
    expect(alarmOf(withAlarm(name, { runbookUrl: url }), name).AlarmDescription).toMatch(new RegExp(`\\. Runbook: ${url}$`));
  });

  it('does what all of them do, unless it has actions of its own', () => {
    const stack = new Stack(newApp(), 'user');
    const [office, nightShift] = ['Office', 'NightShift'].map((id) => new SnsAction(new Topic(stack, id))) as [SnsAction, SnsAction];
    const alarms = { actions: [office], mappingStopped: { actions: [nightShift] }, batchesDiscarded: { actions: [] } };
    new StreamProcessor(stack, 'Processor', { table: newTable(stack), code: ProcessorCode.fromAsset(BOOTSTRAP), alarms });
    const template = Template.fromStack(stack);
    expect(referred(alarmOf(template, 'FunctionErrors').AlarmActions[0])).toContain('Office');
    expect(alarmOf(template, 'MappingStopped').AlarmActions.map(referred)).toEqual([expect.stringContaining('NightShift')]);
    expect(alarmOf(template, 'MappingStopped').OKActions.map(referred)).toEqual([expect.stringContaining('NightShift')]);
    expect(alarmOf(template, 'BatchesDiscarded').AlarmActions).toBeUndefined();
  });

  it('links to a page of the user, if there is one', () => {
    const template = processorTemplate({ alarms: { runbookBaseUrl: 'https://wiki.example.com/streams' } });
    expect(alarmOf(template, 'MappingStopped').AlarmDescription).toMatch(/ Runbook: https:\/\/wiki\.example\.com\/streams#mappingstopped$/);
  });
});

describe('the alarm for dead letters that are about to expire', () => {
  const withQueue = (queue: (stack: Stack) => Queue | ReturnType<typeof Queue.fromQueueArn>) => {
    const stack = new Stack(newApp(), 'user');
    const props = { table: newTable(stack), code: ProcessorCode.fromAsset(BOOTSTRAP), deadLetterQueue: queue(stack) };
    new StreamProcessor(stack, 'Processor', props);
    return alarmOf(Template.fromStack(stack), 'DeadLettersExpiring').Threshold;
  };
  const days = (number: number) => Duration.days(number).toSeconds();

  it('knows how long a queue of this app keeps them', () => {
    expect(withQueue((stack) => new Queue(stack, 'Failed', { retentionPeriod: Duration.days(7) }))).toBe(days(6));
    expect(withQueue((stack) => new Queue(stack, 'Failed'))).toBe(Math.floor((days(4) * 6) / 7));
  });

  it('is early rather than late where it cannot know', () => {
    const arn = 'arn:aws:sqs:eu-central-1:111122223333:failed';
    expect(withQueue((stack) => Queue.fromQueueArn(stack, 'Failed', arn) as Queue)).toBe(Math.floor((days(4) * 6) / 7));
  });
});

it('a mapping that is not enabled is not watched for polls', () => {
  const ids = Object.keys(resources(processorTemplate({ mapping: { enabled: false } }), 'AWS::CloudWatch::Alarm'));
  expect(ids.filter((id) => id.includes('MappingStopped'))).toEqual([]);
});

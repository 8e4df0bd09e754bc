import { Duration, Size, Stack } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { LambdaDeploymentConfig } from 'aws-cdk-lib/aws-codedeploy';
import { Vpc } from 'aws-cdk-lib/aws-ec2';
import { CapacityProvider, LayerVersion, LoggingFormat } from 'aws-cdk-lib/aws-lambda';
import { LogGroup, LogGroupClass } from 'aws-cdk-lib/aws-logs';
import { describe, expect, it } from 'vitest';
import { ProcessorCode, ProcessorFunctionOptions, StreamProcessor } from '../../lib';
import { statementsOf } from '../../scripts/iam-statements';
import { BOOTSTRAP, newTable, referred, resource, resources, userStack } from '../support';

const code = ProcessorCode.fromAsset(BOOTSTRAP);
const LAYER = 'arn:aws:lambda:eu-central-1:111122223333:layer:collector:1';
const INSTANCES = 'arn:aws:lambda:eu-central-1:111122223333:capacity-provider:instances';

function process(stack: Stack, functionOptions: ProcessorFunctionOptions): StreamProcessor {
  return new StreamProcessor(stack, 'Processor', { table: newTable(stack), code, functionOptions, redrive: true });
}

describe('every option of a function of the CDK', () => {
  it('reaches the function', () => {
    const stack = userStack();
    const logGroup = new LogGroup(stack, 'Infrequent', { logGroupClass: LogGroupClass.INFREQUENT_ACCESS });
    process(stack, {
      functionName: 'orders',
      layers: [LayerVersion.fromLayerVersionArn(stack, 'Collector', LAYER)],
      ephemeralStorageSize: Size.gibibytes(2),
      logGroup,
      description: 'Mine',
    });
    const template = Template.fromStack(stack);
    expect(resource(template, 'AWS::Lambda::Function').Properties).toMatchObject({
      FunctionName: 'orders',
      Layers: [LAYER],
      EphemeralStorage: { Size: 2_048 },
      Description: 'Mine',
    });
    expect(Object.keys(resources(template, 'AWS::Logs::LogGroup'))).toEqual([expect.stringContaining('Infrequent')]);
    expect(statementsOf(template).find(({ sid }) => sid === 'WriteLogs')?.resources).toEqual(['Infrequent.Arn']);
  });

  it('may be logs as text, which have no level', () => {
    const stack = userStack();
    process(stack, { loggingFormat: LoggingFormat.TEXT });
    const { LogFormat, ApplicationLogLevel, SystemLogLevel } = resource(Template.fromStack(stack), 'AWS::Lambda::Function').Properties.LoggingConfig;
    expect([LogFormat, ApplicationLogLevel, SystemLogLevel]).toEqual(['Text', undefined, undefined]);
  });

  it('can be added to the function that was made', () => {
    const stack = userStack();
    process(stack, {}).createdFunction!.addLayers(LayerVersion.fromLayerVersionArn(stack, 'Collector', LAYER));
    expect(resource(Template.fromStack(stack), 'AWS::Lambda::Function').Properties.Layers).toEqual([LAYER]);
  });

  it('reserves no concurrency unless it is asked for', () => {
    const stack = userStack();
    process(stack, {});
    expect(resource(Template.fromStack(stack), 'AWS::Lambda::Function').Properties).not.toHaveProperty('ReservedConcurrentExecutions');
  });
});

describe('an alias of the function', () => {
  const deployed = (stack = userStack()) => {
    process(stack, {
      alias: {
        aliasName: 'blue',
        provisionedConcurrentExecutions: 5,
        deployment: LambdaDeploymentConfig.CANARY_10PERCENT_5MINUTES,
      },
    });
    return Template.fromStack(stack);
  };

  it('is what both mappings invoke, with provisioned concurrency', () => {
    const template = deployed();
    const [id] = Object.keys(resources(template, 'AWS::Lambda::Alias'));
    expect(resource(template, 'AWS::Lambda::Alias').Properties).toMatchObject({
      Name: 'blue',
      ProvisionedConcurrencyConfig: { ProvisionedConcurrentExecutions: 5 },
    });
    const mappings = Object.values(resources(template, 'AWS::Lambda::EventSourceMapping'));
    expect(mappings).toHaveLength(2);
    for (const { Properties } of mappings) {
      expect(JSON.stringify(Properties.FunctionName)).toContain(id);
    }
  });

  it('has its own alarms, except what Lambda counts of the function', () => {
    const template = deployed();
    const dimensions = (alarm: string) => resource(template, 'AWS::CloudWatch::Alarm', `Alarms${alarm}`).Properties.Dimensions.map(({ Name }: any) => Name);
    expect(dimensions('FunctionErrors')).toEqual(['FunctionName', 'Resource']);
    expect(dimensions('IteratorAge')).toEqual(['FunctionName']);
    expect(dimensions('DestinationDeliveryFailures')).toEqual(['FunctionName']);
  });

  it('has the settings of asynchronous invocations', () => {
    const config = resource(deployed(), 'AWS::Lambda::EventInvokeConfig');
    expect(config.Properties.Qualifier).toBe('blue');
    expect(config.DependsOn).toEqual([expect.stringContaining('Alias')]);
  });

  it('moves to a new version as a canary, and back at the first error of the alias', () => {
    const template = deployed();
    const group = resource(template, 'AWS::CodeDeploy::DeploymentGroup').Properties;
    expect(JSON.stringify(group.DeploymentConfigName)).toContain('LambdaCanary10Percent5Minutes');
    expect(group.AutoRollbackConfiguration.Events).toContain('DEPLOYMENT_STOP_ON_ALARM');
    const alarm = resource(template, 'AWS::CloudWatch::Alarm', 'RollbackAlarm').Properties;
    expect(alarm).toMatchObject({ MetricName: 'Errors', Threshold: 1, TreatMissingData: 'notBreaching' });
    expect(JSON.stringify(alarm.Dimensions)).toContain('blue');
  });

  it('is called live, and moves at once, where nothing else is said', () => {
    const stack = userStack();
    process(stack, { alias: {} });
    const template = Template.fromStack(stack);
    expect(resource(template, 'AWS::Lambda::Alias').Properties.Name).toBe('live');
    template.resourceCountIs('AWS::CodeDeploy::DeploymentGroup', 0);
  });

  it('is refused where it cannot work', () => {
    const stack = userStack();
    expect(() => process(stack, { alias: { rollbackAlarms: [] } })).toThrow(/rollbackAlarms has no effect without deployment/);
    const capacityProvider = CapacityProvider.fromCapacityProviderArn(stack, 'Instances', INSTANCES);
    const props = { table: newTable(stack, 'Other'), code, functionOptions: { alias: {}, managedInstances: { capacityProvider } } };
    expect(() => new StreamProcessor(stack, 'Other2', props)).toThrow(/alias and managedInstances are both set/);
  });
});

describe('Managed Instances', () => {
  function managed(options: ProcessorFunctionOptions = {}, limits = {}): Template {
    const stack = userStack();
    const capacityProvider = CapacityProvider.fromCapacityProviderArn(stack, 'Instances', INSTANCES);
    process(stack, { ...options, managedInstances: { capacityProvider, concurrencyPerEnvironment: 32, ...limits } });
    return Template.fromStack(stack);
  }

  it('have three ratios of memory', () => {
    expect(() => managed({}, { memoryGiBPerVCpu: 3 })).toThrow(/memoryGiBPerVCpu is 3; write 2, 4 or 8/);
    expect(() => managed({}, { memoryGiBPerVCpu: 8 })).not.toThrow();
  });

  it('run the function, whose environments serve several invocations at once', () => {
    const { Properties } = resource(managed(), 'AWS::Lambda::Function');
    expect(Properties).toMatchObject({ MemorySize: 2_048, PublishToLatestPublished: true });
    expect(Properties.ReservedConcurrentExecutions).toBeUndefined();
    expect(Properties.CapacityProviderConfig.LambdaManagedInstancesCapacityProviderConfig).toEqual({
      CapacityProviderArn: INSTANCES,
      PerExecutionEnvironmentMaxConcurrency: 32,
    });
    expect(Properties).not.toHaveProperty('FunctionScalingConfig');
  });

  it('run what is published, so asynchronous invocations are configured for that', () => {
    expect(resource(managed(), 'AWS::Lambda::EventInvokeConfig').Properties.Qualifier).toBe('$LATEST.PUBLISHED');
  });

  it('scale between the limits that are given', () => {
    const { Properties } = resource(managed({}, { minExecutionEnvironments: 0, maxExecutionEnvironments: 4 }), 'AWS::Lambda::Function');
    expect(Properties.FunctionScalingConfig).toEqual({ MinExecutionEnvironments: 0, MaxExecutionEnvironments: 4 });
    expect(() => managed({}, { minExecutionEnvironments: 5, maxExecutionEnvironments: 4 })).toThrow(/minExecutionEnvironments is 5; write .* 0 to 4/);
  });

  it('take 90 minutes for an invocation, of which an attempt has no more than 15', () => {
    const template = managed({ timeout: Duration.minutes(90) });
    const { Timeout, Environment } = resource(template, 'AWS::Lambda::Function').Properties;
    expect([Timeout, Environment.Variables.LAMBDA_STREAMS_HANDLER_TIMEOUT_MS]).toEqual([5_400, '1350000']);
    expect(() => managed({ timeout: Duration.minutes(91) })).toThrow(/timeout is 1 hour 31 minutes; write .* to 1 hour 30 minutes/);
  });
});

describe('what Lambda does as the role', () => {
  const denied = (stack: Stack) =>
    Object.fromEntries(
      statementsOf(Template.fromStack(stack))
        .filter(({ effect, sid }) => effect === 'Deny' && sid !== '')
        .map((statement) => [statement.sid, statement]),
    );

  it('is denied to the code of the function, by a policy that the function does not wait for', () => {
    const stack = userStack();
    process(stack, {});
    const { KeepTheStreamFromTheCode: stream, KeepTheRedriveQueueFromTheCode: queue } = denied(stack);
    expect(stream!.actions).toContain('dynamodb:GetRecords');
    expect(stream!.resources).toEqual(['Orders.StreamArn']);
    expect(queue!.actions).toEqual(expect.arrayContaining(['sqs:ReceiveMessage', 'sqs:DeleteMessage']));
    expect(queue!.resources).toEqual(['ProcessorRedriveQueue.Arn']);
    for (const { conditions } of [stream!, queue!]) {
      expect(conditions).toEqual(['ArnLike lambda:SourceFunctionArn ProcessorFunction.Arn, ProcessorFunction.Arn:*']);
    }
    const template = Template.fromStack(stack);
    const [boundary] = Object.keys(resources(template, 'AWS::IAM::Policy')).filter((id) => id.includes('CodeBoundary'));
    expect(resource(template, 'AWS::Lambda::Function').DependsOn).not.toContain(boundary);
  });

  it('is denied no more where a user takes the policy away', () => {
    const stack = userStack();
    expect(process(stack, {}).node.tryRemoveChild('CodeBoundary')).toBe(true);
    expect(denied(stack)).toEqual({});
  });

  it('includes network interfaces where there is a VPC', () => {
    const stack = userStack();
    process(stack, { vpc: new Vpc(stack, 'Vpc') });
    expect(denied(stack).KeepTheVpcFromTheCode!.actions).toContain('ec2:DeleteNetworkInterface');
  });

  it('leaves writing to on-failure destinations to both, since a denied write would lose what it holds', () => {
    const stack = userStack();
    process(stack, {});
    const actions = Object.values(denied(stack)).flatMap((statement) => statement.actions);
    expect(actions.length).toBeGreaterThan(3);
    expect(actions.filter((action) => /PutObject|SendMessage|kms:/.test(action))).toEqual([]);
  });

  it('is known by the function of the alias', () => {
    const stack = userStack();
    process(stack, { alias: {} });
    expect(denied(stack).KeepTheStreamFromTheCode!.conditions[0]).toMatch(/SourceFunctionArn ProcessorFunction\.Arn, /);
    expect(referred(resource(Template.fromStack(stack), 'AWS::Lambda::Alias').Properties.FunctionName)).toContain('ProcessorFunction');
  });
});

import { App, Stack, Validations } from 'aws-cdk-lib';
import { Table } from 'aws-cdk-lib/aws-dynamodb';
import { LambdaDeploymentConfig } from 'aws-cdk-lib/aws-codedeploy';
import { SecurityGroup, Vpc } from 'aws-cdk-lib/aws-ec2';
import { CapacityProvider } from 'aws-cdk-lib/aws-lambda';
import { AwsSolutionsChecks, ServerlessChecks } from 'cdk-nag';
import { StreamProcessor, StreamProcessorProps } from '../lib';
import { readConfig } from '../lib/app-config';

// One stack for each way to run the function, so that the static gates read what the construct makes of it.
const app = new App();
const { code } = readConfig(app);

function variant(id: string, props: (stack: Stack) => Partial<StreamProcessorProps>): void {
  const stack = new Stack(app, id);
  const table = Table.fromTableAttributes(stack, 'Orders', {
    tableArn: `arn:aws:dynamodb:eu-central-1:111122223333:table/${id}`,
    tableStreamArn: `arn:aws:dynamodb:eu-central-1:111122223333:table/${id}/stream/2026-01-01T00:00:00.000`,
  });
  new StreamProcessor(stack, 'Processor', { table, code, redrive: true, ...props(stack) });
}

variant('plain', () => ({}));
variant('canary', () => ({
  functionOptions: { alias: { provisionedConcurrentExecutions: 2, deployment: LambdaDeploymentConfig.CANARY_10PERCENT_5MINUTES } },
}));
variant('in-a-vpc', (stack) => ({
  functionOptions: {
    vpc: Vpc.fromVpcAttributes(stack, 'Vpc', {
      vpcId: 'vpc-0a1b2c3d4e5f60718',
      availabilityZones: ['eu-central-1a', 'eu-central-1b'],
      privateSubnetIds: ['subnet-0a1b2c3d4e5f60718', 'subnet-0a1b2c3d4e5f60719'],
      privateSubnetRouteTableIds: ['rtb-0a1b2c3d4e5f60718', 'rtb-0a1b2c3d4e5f60719'],
    }),
    securityGroups: [SecurityGroup.fromSecurityGroupId(stack, 'Outbound', 'sg-0a1b2c3d4e5f60718')],
  },
}));
variant('managed-instances', (stack) => ({
  functionOptions: {
    managedInstances: {
      capacityProvider: CapacityProvider.fromCapacityProviderArn(
        stack,
        'Instances',
        'arn:aws:lambda:eu-central-1:111122223333:capacity-provider:instances',
      ),
      minExecutionEnvironments: 2,
    },
  },
}));
Validations.of(app).addPlugins(new AwsSolutionsChecks(app), new ServerlessChecks(app));

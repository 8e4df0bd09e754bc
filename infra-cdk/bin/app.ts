#!/usr/bin/env node
import { Annotations, App, CliCredentialsStackSynthesizer, StackProps, Tags, Validations } from 'aws-cdk-lib';
import { AwsSolutionsChecks, ServerlessChecks } from 'cdk-nag';
import { ApiGatewayAccountStack } from '../lib/api-gateway-account';
import { readConfig } from '../lib/app-config';
import { DemoStack } from '../lib/demo-stack';

const app = new App();
const { stage, apiAccount, cliCredentials, ...config } = readConfig(app);
const stackProps = (): StackProps => ({
  env: { account: process.env.CDK_DEFAULT_ACCOUNT, region: process.env.CDK_DEFAULT_REGION },
  synthesizer: cliCredentials ? new CliCredentialsStackSynthesizer() : undefined,
});

const demo = new DemoStack(app, `lambda-streams-${stage}`, { ...stackProps(), ...config });
if (apiAccount) {
  demo.addStackDependency(new ApiGatewayAccountStack(app, 'lambda-streams-api-account', stackProps()));
} else if (apiAccount === undefined) {
  Annotations.of(demo).addInfo(
    'API Gateway writes logs with one role for all APIs of an account and region, and this deployment fails where there is none. ' +
      'Look with `aws apigateway get-account --query cloudwatchRoleArn`: if it is null, add -c apiAccount=true, which makes that role; ' +
      'otherwise -c apiAccount=false',
  );
}

Tags.of(demo).add('project', 'lambda-streams');
Tags.of(demo).add('stage', stage);
Validations.of(app).addPlugins(new AwsSolutionsChecks(app), new ServerlessChecks(app));

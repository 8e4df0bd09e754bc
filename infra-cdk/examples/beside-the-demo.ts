import { App, Validations } from 'aws-cdk-lib';
import { AwsSolutionsChecks, ServerlessChecks } from 'cdk-nag';
import { readConfig } from '../lib/app-config';
import { DemoStack } from '../lib/demo-stack';
import { ExistingTableStack } from './existing-table-stack';

const app = new App();
const { stage, apiAccount: _apiAccount, cliCredentials: _cliCredentials, ...config } = readConfig(app);

new DemoStack(app, `lambda-streams-${stage}`, config);
new ExistingTableStack(app, 'archive', {
  code: config.code,
  tableArn: 'arn:aws:dynamodb:eu-central-1:111122223333:table/orders',
  tableStreamArn: 'arn:aws:dynamodb:eu-central-1:111122223333:table/orders/stream/2026-01-01T00:00:00.000',
});
Validations.of(app).addPlugins(new AwsSolutionsChecks(app), new ServerlessChecks(app));

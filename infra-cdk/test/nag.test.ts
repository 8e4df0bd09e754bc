import * as fs from 'node:fs';
import * as path from 'node:path';
import { App, Validations } from 'aws-cdk-lib';
import { AwsSolutionsChecks, ServerlessChecks } from 'cdk-nag';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { ApiGatewayAccountStack } from '../lib';
import { newApp, newDemo } from './support';

interface Finding {
  readonly rule: string;
  readonly path: string;
}

function newCheckedApp(): App {
  const app = newApp();
  newDemo({ production: true, alarmEmail: 'ops@example.com' }, 'demo', app);
  new ApiGatewayAccountStack(app, 'account');
  Validations.of(app).addPlugins(new AwsSolutionsChecks(app), new ServerlessChecks(app));
  return app;
}

function findings(app: App): Finding[] {
  const report = JSON.parse(fs.readFileSync(path.join(app.outdir, 'validation-report.json'), 'utf8'));
  return report.pluginReports.flatMap(({ violations }: any) =>
    violations.flatMap(({ ruleName, violatingConstructs }: any) =>
      violatingConstructs.map(({ constructPath }: any) => ({ rule: ruleName, path: constructPath })),
    ),
  );
}

describe('cdk-nag, AwsSolutions and Serverless', () => {
  afterEach(() => {
    vi.restoreAllMocks();
  });

  it('finds nothing that is not accepted with a reason', () => {
    const app = newCheckedApp();
    expect(() => app.synth()).not.toThrow();
    expect(findings(app)).toEqual([]);
  });

  it('finds everything that is accepted, where it is accepted', () => {
    const accepted: Finding[] = [];
    vi.spyOn(Validations.prototype, 'acknowledge').mockImplementation(function (this: Validations, ...rules) {
      const { scope } = this as unknown as { scope: { node: { path: string } } };
      accepted.push(...rules.map(({ id }) => ({ rule: id, path: scope.node.path })));
    });
    const app = newCheckedApp();
    expect(() => app.synth()).toThrow(/AwsSolutions/);
    const found = findings(app);
    expect(accepted.length).toBeGreaterThan(10);
    expect(accepted.filter(({ rule, path: scope }) => !found.some((f) => f.rule === rule && `${f.path}/`.startsWith(`${scope}/`)))).toEqual([]);
  });
});

import * as fs from 'node:fs';
import * as path from 'node:path';
import { Template } from 'aws-cdk-lib/assertions';
import { newDemo } from '../test/support';
import { REASONS } from './iam-reasons';
import { Statement, statementsOf } from './iam-statements';

/** Where the table is kept. */
export const IAM_PAGE = path.join(__dirname, '..', 'docs', 'iam.md');

const HEAD = `# Every IAM statement of the demo stack, and why it is there

Written by \`npm run iam\`, checked by the tests: a statement that is not here, or has no reason, fails them. Holders and resources
are logical ids without their hash. No role has a managed policy.

| holder | statement | who | may | on | if | because |
|---|---|---|---|---|---|---|
`;

/** The name under which a statement has its reason. */
export function reasonKey({ holder, sid, actions }: Statement): string {
  return `${holder} ${sid || actions[0]}`;
}

/** The page, made from a template. */
export function iamPage(template: Template): string {
  return HEAD + statementsOf(template).map(row).join('\n') + '\n';
}

function row(statement: Statement): string {
  const { holder, sid, effect, principal, actions, resources, conditions } = statement;
  const code = (values: readonly string[]) => values.map((value) => `\`${value}\``).join(' ');
  const cells = [
    holder,
    sid,
    principal ? code([principal]) : 'the role',
    `${effect === 'Deny' ? '**not** ' : ''}${code(actions)}`,
    resources.length > 0 ? code(resources) : 'the role',
    code(conditions),
    REASONS[reasonKey(statement)] ?? '',
  ];
  return `| ${cells.join(' | ')} |`;
}

if (require.main === module) {
  fs.writeFileSync(IAM_PAGE, iamPage(Template.fromStack(newDemo())));
}

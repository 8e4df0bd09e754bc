import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { ClassType, InterfaceType, loadAssemblyFromPath } from '@jsii/spec';
import { describe, expect, it } from 'vitest';
import { API_PAGE, apiPage } from '../scripts/api-reference';

// These tests read what `npm run build` made last.
const root = path.join(__dirname, '..');
const assembly = loadAssemblyFromPath(root);
const types = Object.values(assembly.types!) as (ClassType | InterfaceType)[];
const members = types.flatMap((type) =>
  [...(type.properties ?? []), ...(type.methods ?? [])].map((member) => ({ ...member, id: `${type.name}.${member.name}` })),
);

describe('the public API', () => {
  it('is written down in API.md as it is in the code (npm run api)', () => {
    expect(fs.readFileSync(API_PAGE, 'utf8')).toBe(apiPage());
  });

  it('says of every type and every member what it is', () => {
    expect(types.length).toBeGreaterThan(30);
    expect(types.filter(({ docs }) => !docs?.summary).map(({ name }) => name)).toEqual([]);
    expect(members.filter(({ docs }) => !docs?.summary).map(({ id }) => id)).toEqual([]);
  });

  it('says of every option that may be left out what happens then', () => {
    const options = types.filter((type): type is InterfaceType => type.kind === 'interface').flatMap(({ name, properties = [] }) =>
      properties.filter(({ optional }) => optional).map((property) => ({ id: `${name}.${property.name}`, docs: property.docs })),
    );
    expect(options.length).toBeGreaterThan(50);
    expect(options.filter(({ docs }) => !docs?.default).map(({ id }) => id)).toEqual([]);
  });

  it('has no part of the demo app', () => {
    expect(types.map(({ name }) => name).filter((name) => /Demo|AppConfig/.test(name))).toEqual([]);
  });
});

describe('the package', () => {
  const files = packed();

  it('holds the assembly, the code with its types, the reference and both licences', () => {
    const wanted = ['.jsii', 'API.md', 'LICENSE-APACHE', 'LICENSE-MIT', 'README.md', 'dist/index.d.ts', 'dist/index.js', 'package.json'];
    expect(files).toEqual(expect.arrayContaining(wanted));
  });

  it('holds nothing of the app, its tests or its tools', () => {
    expect(files.filter((file) => /demo|app-config|^(bin|examples|gates|lib|scripts|test)\//.test(file))).toEqual([]);
  });
});

function packed(): string[] {
  const output = execFileSync('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], { cwd: root, encoding: 'utf8', stdio: 'pipe' });
  const [{ files }] = JSON.parse(output) as [{ files: { path: string }[] }];
  return files.map((file) => file.path);
}

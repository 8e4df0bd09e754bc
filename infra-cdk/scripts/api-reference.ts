import * as fs from 'node:fs';
import * as path from 'node:path';
import { Assembly, ClassType, EnumType, InterfaceType, Method, Parameter, Property, Type, TypeReference, loadAssemblyFromPath } from '@jsii/spec';

const ROOT = path.join(__dirname, '..');
const PACKAGE = 'lambda-streams-cdk';

/** Where the reference is kept. */
export const API_PAGE = path.join(ROOT, 'API.md');

const HEAD = `# API reference

Written by \`npm run api\` from the library's jsii assembly, checked by the tests. A class that extends one of \`aws-cdk-lib\`
has that one's members too. Names are TypeScript's; other languages follow their own style, as \`dead_letter_queue\` in Python and
\`DeadLetterQueue\` in Go. Options are keyword arguments in Python, and builders in Java.
`;

type Docs = Type['docs'];

/** The page, made from the assembly that \`npm run build\` leaves. */
export function apiPage(): string {
  const assembly = loadAssemblyFromPath(ROOT);
  const types = Object.values(assembly.types ?? {}).sort((a, b) => a.name.localeCompare(b.name));
  const [constructs, classes] = partition(types.filter(isClass), (type) => isConstruct(assembly, type));
  const sections = [
    section('Constructs', constructs.map(ofClass)),
    section('Other classes', classes.map(ofClass)),
    section('Options', types.filter(isInterface).map(ofInterface)),
    section('Enumerations', types.filter(isEnum).map(ofEnum)),
  ];
  return HEAD + sections.join('');
}

const isClass = (type: Type): type is ClassType => type.kind === 'class';
const isInterface = (type: Type): type is InterfaceType => type.kind === 'interface';
const isEnum = (type: Type): type is EnumType => type.kind === 'enum';

/** Whether a class is used as `new X(scope, id, …)`. */
function isConstruct(assembly: Assembly, type: ClassType): boolean {
  const own = assembly.types?.[type.base ?? ''] as ClassType | undefined;
  return type.initializer?.parameters?.[0]?.name === 'scope' || (own !== undefined && isConstruct(assembly, own));
}

function partition<T>(all: T[], first: (one: T) => boolean): [T[], T[]] {
  return [all.filter(first), all.filter((one) => !first(one))];
}

function section(title: string, parts: string[]): string {
  return `\n## ${title}\n${parts.join('')}`;
}

function ofClass(type: ClassType): string {
  const own = (type.base ?? '').startsWith('aws-cdk-lib') ? ` It extends \`${type.base!.replace(/^aws-cdk-lib\./, '')}\`.` : '';
  const create = type.abstract || !type.initializer ? [] : [ofInitializer(type.name, type.initializer.parameters)];
  const methods = inSourceOrder(type.methods ?? []).map((method) => ofMethod(type, method));
  const properties = inSourceOrder(type.properties ?? []).map(({ name, type: of, optional, docs }) => [
    code(name + (optional ? '?' : '')),
    reference(of),
    text(docs),
  ]);
  const blocks = [
    text(type.docs) + own,
    ...create,
    table(['property', 'type', 'what'], properties),
    table(['method', 'what'], methods),
  ];
  return heading(type.name) + blocks.filter((block) => block !== '').join('\n\n') + '\n';
}

function ofInitializer(name: string, parameters: Parameter[] = []): string {
  const options = parameters.map(({ type }) => type).filter((type) => 'fqn' in type && type.fqn.startsWith(PACKAGE));
  return [signature(`new ${name}`, parameters), ...options.map(reference)].join(', ');
}

function ofMethod(type: ClassType, { name, parameters, returns, docs, static: isStatic }: Method): string[] {
  const result = returns ? ` → ${reference(returns.type)}` : '';
  return [signature(isStatic ? `${type.name}.${name}` : name, parameters) + result, text(docs)];
}

function ofInterface(type: InterfaceType): string {
  const bases = (type.interfaces ?? []).map((fqn) => reference({ fqn })).join(', ');
  const rows = inSourceOrder(type.properties ?? []).map((property) => [
    code(property.name),
    reference(property.type),
    property.optional ? property.docs?.default ?? '' : '**required**',
    text(property.docs),
  ]);
  const blocks = [text(type.docs), bases && `In addition it has those of ${bases}.`, table(['option', 'type', 'default', 'what'], rows)];
  return heading(type.name) + blocks.filter((block) => block !== '').join('\n\n') + '\n';
}

function ofEnum(type: EnumType): string {
  const members = type.members.map(({ name }) => code(name)).join(', ');
  return `${heading(type.name)}${text(type.docs)} ${members}\n`;
}

function heading(name: string): string {
  return `\n### ${name}\n\n`;
}

function table(head: string[], rows: string[][]): string {
  if (rows.length === 0) {
    return '';
  }
  const line = (cells: string[]) => `| ${cells.map((cell) => cell.replace(/\s*\n\s*/g, ' ').replace(/\|/g, '\\|')).join(' | ')} |`;
  return [line(head), `|${'---|'.repeat(head.length)}`, ...rows.map(line)].join('\n');
}

function signature(name: string, parameters: Parameter[] = []): string {
  return code(`${name}(${parameters.map(({ name: of, optional }) => of + (optional ? '?' : '')).join(', ')})`);
}

function code(value: string): string {
  return `\`${value}\``;
}

function text(docs: Docs): string {
  return [docs?.summary, docs?.remarks].filter(Boolean).join(' ');
}

/** The type's name: a link if it is of this library, the short name else. */
function reference(type: TypeReference): string {
  if ('fqn' in type) {
    const [assembly, ...rest] = type.fqn.split('.');
    const name = rest[rest.length - 1]!;
    return assembly === PACKAGE ? `[${name}](#${name.toLowerCase()})` : code(rest.join('.'));
  }
  if ('collection' in type) {
    const { kind, elementtype } = type.collection;
    return kind === 'array' ? `${reference(elementtype)}[]` : `map of ${reference(elementtype)}`;
  }
  return 'union' in type ? type.union.types.map(reference).join(' or ') : (type as { primitive: string }).primitive;
}

function inSourceOrder<T extends Property | Method>(members: T[]): T[] {
  return [...members].sort((a, b) => (a.locationInModule?.line ?? 0) - (b.locationInModule?.line ?? 0));
}

if (require.main === module) {
  fs.writeFileSync(API_PAGE, apiPage());
}

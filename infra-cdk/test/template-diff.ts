import { Template } from 'aws-cdk-lib/assertions';

/**
 * Where two templates differ, as sorted `Type(Id).path` lines; a resource that one of them lacks is one line with + or -.
 *
 * Ids are logical ids without their hash, which stands for the path of a construct and not for what it is.
 */
export function differences(before: Template, after: Template): string[] {
  const [old, young] = [before, after].map((template) => template.toJSON().Resources as Record<string, any>) as [any, any];
  const ids = [...new Set([...Object.keys(old), ...Object.keys(young)])];
  return ids.flatMap((id) => ofResource(id, old[id], young[id])).sort();
}

function ofResource(id: string, old: any, young: any): string[] {
  const name = `${(young ?? old).Type.replace('AWS::', '')}(${id.replace(/[0-9A-F]{8}$/, '')})`;
  if (!old || !young) {
    return [`${old ? '-' : '+'} ${name}`];
  }
  const paths = changed('', old.Properties, young.Properties).concat(changed('/DeletionPolicy', old.DeletionPolicy, young.DeletionPolicy));
  return paths.map((path) => `${name}${path}`);
}

function changed(path: string, old: any, young: any): string[] {
  if (JSON.stringify(old) === JSON.stringify(young)) {
    return [];
  }
  const nested = (value: any) => value !== null && typeof value === 'object' && !Array.isArray(value) && !isReference(value);
  if (!nested(old) || !nested(young)) {
    return [path];
  }
  const keys = [...new Set([...Object.keys(old), ...Object.keys(young)])];
  return keys.flatMap((key) => changed(`${path}/${key}`, old[key], young[key]));
}

function isReference(value: object): boolean {
  return Object.keys(value).some((key) => key === 'Ref' || key.startsWith('Fn::'));
}

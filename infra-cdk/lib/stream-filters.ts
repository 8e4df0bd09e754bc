import * as fs from 'node:fs';
import { Stack, Token } from 'aws-cdk-lib';
import { Construct } from 'constructs';
import { check } from './checks';

const MAX_FILTERS = 5;
const MAX_PATTERN = 4_096;

/** Throws unless Lambda takes the filters, and each of them can match a record of DynamoDB. */
export function checkFilters(scope: Construct, filters: Array<{ [key: string]: any }> | undefined): void {
  if (filters === undefined) {
    return;
  }
  check(
    scope,
    filters.length >= 1 && filters.length <= MAX_FILTERS,
    `${filters.length} filters; Lambda takes 1 to ${MAX_FILTERS}, of which a record must match one`,
  );
  filters.forEach(({ pattern }, index) => {
    // A pattern that is known at the deployment only stays an object.
    const resolved: unknown = Stack.of(scope).resolve(pattern);
    if (!Token.isUnresolved(pattern) || typeof resolved === 'string') {
      checkFilter(scope, resolved, `filters[${index}]`);
    }
  });
}

/** Reads the `FilterCriteria` that `StreamProcessor::filter_criteria` writes; undefined for `null`, which lets every record through. */
export function readFilterFile(scope: Construct, path: string): Array<{ [key: string]: any }> | undefined {
  const how = 'write what StreamProcessor::filter_criteria returns into it, or null where that is None';
  check(scope, fs.existsSync(path), `filterFile is ${path}, which does not exist; ${how}`);
  const criteria = parse(fs.readFileSync(path, 'utf8'));
  if (criteria === null) {
    return undefined;
  }
  const filters = isObject(criteria) ? criteria.Filters : undefined;
  const patterns = Array.isArray(filters) ? filters.map((filter) => (isObject(filter) ? filter.Pattern : undefined)) : [undefined];
  const isWhole = patterns.every((pattern) => typeof pattern === 'string');
  check(scope, isWhole, `filterFile is ${path}, which is not {"Filters": [{"Pattern": "…"}]}; ${how}`);
  return patterns.map((pattern) => ({ pattern }));
}

function checkFilter(scope: Construct, pattern: unknown, name: string): void {
  check(scope, typeof pattern === 'string', `${name} has no pattern; write it with FilterCriteria.filter({ … })`);
  const text = pattern as string;
  check(
    scope,
    text.length <= MAX_PATTERN,
    `the pattern of ${name} has ${text.length} characters; Lambda takes ${MAX_PATTERN}: match fewer values, or let the handler skip records`,
  );
  const parsed = parse(text);
  check(scope, isObject(parsed), `the pattern of ${name} is not a JSON object; write it with FilterCriteria.filter({ … })`);
  check(
    scope,
    !comparesNumbers(parsed),
    `the pattern of ${name} compares an attribute of type N as a number, which never matches: DynamoDB writes numbers as strings. ` +
      'Match equal strings, { N: ["1"] }, or compare in the handler',
  );
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function comparesNumbers(pattern: unknown): boolean {
  if (!isObject(pattern)) {
    return false;
  }
  return Object.entries(pattern).some(([key, value]) => {
    const rules = Array.isArray(value) ? value : [];
    const numeric = rules.some((rule) => typeof rule === 'number' || (isObject(rule) && 'numeric' in rule));
    return (key === 'N' && numeric) || comparesNumbers(value);
  });
}

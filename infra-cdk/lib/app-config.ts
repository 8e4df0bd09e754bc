import * as path from 'node:path';
import { Architecture, StartingPosition } from 'aws-cdk-lib/aws-lambda';
import { Construct } from 'constructs';
import { check } from './checks';
import { ProcessorCode } from './processor-code';

/** The configuration of an app: `cdk deploy -c name=value`, or an environment variable. */
export interface AppConfig {
  readonly stage: string;
  readonly production: boolean;
  readonly allowedCidrs: string[];
  readonly alarmEmail?: string;
  readonly architecture: Architecture;
  readonly code: ProcessorCode;
  readonly apiCache: boolean;
  readonly idempotency: boolean;
  /** Whether the app sets the role that API Gateway writes logs with, for the whole account and region; undefined where nothing is said. */
  readonly apiAccount?: boolean;
  readonly startingPosition: StartingPosition;
  /** Deploys with the caller's own credentials instead of the bootstrap roles, as a local emulator needs. */
  readonly cliCredentials: boolean;
}

const MANIFEST = path.join(__dirname, '..', '..', 'examples', 'stream-processor', 'Cargo.toml');

const ALLOW_LIST_MISSING =
  'nobody is allowed to call the API; name the public address ranges of its callers, comma-separated, as ' +
  '-c allowedCidrs=203.0.113.7/32,198.51.100.0/24 or as the environment variable ALLOWED_CIDRS';

/** Reads the configuration; a context value comes before the environment variable of the same meaning. */
export function readConfig(app: Construct, env: NodeJS.ProcessEnv = process.env): AppConfig {
  const text = (name: string): string | undefined => {
    const variable = name.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase();
    const value: unknown = app.node.tryGetContext(name) ?? env[variable];
    return value === undefined || value === '' ? undefined : String(value);
  };
  const architecture = choice(app, 'architecture', text('architecture') ?? 'arm64', {
    arm64: Architecture.ARM_64,
    x86_64: Architecture.X86_64,
  });
  const stage = readStage(app, text('stage') ?? 'dev');
  // Forgotten once, it would take the protection off what is deployed already.
  check(
    app,
    stage === 'dev' || text('production') !== undefined,
    `stage is ${stage}; say whether its data is kept, with -c production=true or -c production=false`,
  );
  return {
    stage,
    production: flag(app, 'production', text('production'), false),
    allowedCidrs: readAllowList(app, text('allowedCidrs')),
    alarmEmail: readEmail(app, text('alarmEmail')),
    architecture,
    code: readCode(text('functionAsset')),
    apiCache: flag(app, 'apiCache', text('apiCache'), true),
    idempotency: flag(app, 'idempotency', text('idempotency'), true),
    apiAccount: optionalFlag(app, 'apiAccount', text('apiAccount')),
    startingPosition: choice(app, 'startingPosition', text('startingPosition') ?? 'LATEST', {
      LATEST: StartingPosition.LATEST,
      TRIM_HORIZON: StartingPosition.TRIM_HORIZON,
    }),
    cliCredentials: flag(app, 'cliCredentials', text('cliCredentials'), false),
  };
}

function readAllowList(app: Construct, value: string | undefined): string[] {
  const cidrs = (value ?? '')
    .split(',')
    .map((cidr) => cidr.trim())
    .filter((cidr) => cidr !== '');
  check(app, cidrs.length > 0, ALLOW_LIST_MISSING);
  return cidrs;
}

function readStage(app: Construct, stage: string): string {
  check(
    app,
    /^[a-z][a-z0-9-]{0,31}$/.test(stage),
    `stage is "${stage}"; write a lower-case name of letters, digits and hyphens, like dev or prod`,
  );
  return stage;
}

function readEmail(app: Construct, email: string | undefined): string | undefined {
  check(app, email === undefined || /^[^@\s]+@[^@\s]+$/.test(email), `alarmEmail is "${email}"; write an address like ops@example.com`);
  return email;
}

function readCode(asset: string | undefined): ProcessorCode {
  return asset === undefined
    ? ProcessorCode.fromCargo({ manifestPath: MANIFEST, binaryName: 'stream-processor' })
    : ProcessorCode.fromAsset(path.resolve(asset));
}

function flag(app: Construct, name: string, value: string | undefined, fallback: boolean): boolean {
  return optionalFlag(app, name, value) ?? fallback;
}

function optionalFlag(app: Construct, name: string, value: string | undefined): boolean | undefined {
  return value === undefined ? undefined : choice(app, name, value, { true: true, false: false });
}

function choice<T>(app: Construct, name: string, value: string, choices: Record<string, T>): T {
  const known = Object.keys(choices);
  check(app, known.includes(value), `${name} is "${value}"; write one of ${known.join(', ')}`);
  return choices[value]!;
}

import * as fs from 'node:fs';
import * as path from 'node:path';
import { App, Stack, StackProps } from 'aws-cdk-lib';
import { Annotations, Match, Template } from 'aws-cdk-lib/assertions';
import { AttributeType, StreamViewType, Table } from 'aws-cdk-lib/aws-dynamodb';
import { Code, Function, FunctionProps, Runtime } from 'aws-cdk-lib/aws-lambda';
import { Construct } from 'constructs';
import { DemoStack, DemoStackProps } from '../lib/demo-stack';
import { ProcessorCode, StreamProcessor, StreamProcessorProps } from '../lib';

const root = path.join(__dirname, '..');

/** A directory with a `bootstrap`, so synth needs no Rust build. */
export const BOOTSTRAP = path.join(__dirname, 'fixtures', 'bootstrap');

/** An app with the feature flags of `cdk.json`, as the CLI would start it. */
export function newApp(context: Record<string, unknown> = {}): App {
  const { context: flags } = JSON.parse(fs.readFileSync(path.join(root, 'cdk.json'), 'utf8')) as { context: object };
  return new App({ context: { ...flags, ...context } });
}

/** The demo stack with what a deployment must give, and `props` over it. */
export function newDemo(props: Partial<DemoStackProps> = {}, id = 'demo', app = newApp()): DemoStack {
  const code = ProcessorCode.fromAsset(BOOTSTRAP);
  return new DemoStack(app, id, { code, allowedCidrs: ['203.0.113.7/32'], ...props });
}

/** The demo stack's template. */
export function demoTemplate(props: Partial<DemoStackProps> = {}): Template {
  return Template.fromStack(newDemo(props));
}

/** A stack with a table and a `StreamProcessor` of `props` over it. */
export function newProcessor(props: Partial<StreamProcessorProps> = {}): StreamProcessor {
  const stack = new Stack(newApp(), 'user');
  const code = props.handler ? undefined : ProcessorCode.fromAsset(BOOTSTRAP);
  return new StreamProcessor(stack, 'Processor', { table: newTable(stack), code, ...props });
}

/** The template of `newProcessor(props)`. */
export function processorTemplate(props: Partial<StreamProcessorProps> = {}): Template {
  return Template.fromStack(Stack.of(newProcessor(props)));
}

/** A stack of a user's app. */
export function userStack(id = 'user', app = newApp(), props: StackProps = {}): Stack {
  return new Stack(app, id, props);
}

/** A function that a user made without the construct. */
export function ownFunction(stack: Stack, id = 'Mine', props: Partial<FunctionProps> = {}): Function {
  const code = Code.fromAsset(BOOTSTRAP);
  return new Function(stack, id, { code, runtime: Runtime.PROVIDED_AL2023, handler: 'bootstrap', ...props });
}

/** The template of the stack that a construct is in. */
export function templateOf(construct: Construct): Template {
  return Template.fromStack(Stack.of(construct));
}

/** The warnings of a stack at synth. */
export function warningsOf(stack: Stack): string[] {
  return Annotations.fromStack(stack)
    .findWarning('*', Match.anyValue())
    .map(({ entry }) => String(entry.data));
}

/** A table with a stream. */
export function newTable(stack: Stack, id = 'Orders'): Table {
  return new Table(stack, id, {
    partitionKey: { name: 'pk', type: AttributeType.STRING },
    stream: StreamViewType.NEW_AND_OLD_IMAGES,
  });
}

/** One CloudFormation resource. */
export interface Resource {
  readonly Type: string;
  readonly Properties: Record<string, any>;
  readonly DeletionPolicy?: string;
  readonly DependsOn?: string[];
  readonly Metadata?: Record<string, any>;
}

/** The resources of a type by logical id. */
export function resources(template: Template, type: string): Record<string, Resource> {
  return template.findResources(type) as Record<string, Resource>;
}

/** The only resource of a type whose logical id contains `part`. */
export function resource(template: Template, type: string, part = ''): Resource {
  const found = Object.entries(resources(template, type)).filter(([id]) => id.includes(part));
  if (found.length !== 1) {
    throw new Error(`${found.length} resources of type ${type} with "${part}" in their id, wanted one`);
  }
  return found[0]![1];
}

/** The event source mapping of the stream. */
export function streamMapping(template: Template): Resource {
  const found = Object.values(resources(template, 'AWS::Lambda::EventSourceMapping'));
  const ofStream = found.filter(({ Properties }) => Properties.StartingPosition !== undefined);
  if (ofStream.length !== 1) {
    throw new Error(`${ofStream.length} stream mappings, wanted one`);
  }
  return ofStream[0]!;
}

/** The resource that a reference names, by logical id. */
export function referred(reference: unknown): string {
  const { Ref, 'Fn::GetAtt': attribute } = reference as { Ref?: string; 'Fn::GetAtt'?: string[] };
  return Ref ?? attribute![0]!;
}

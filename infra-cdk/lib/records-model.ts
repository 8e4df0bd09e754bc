import { JsonSchema, JsonSchemaType, JsonSchemaVersion } from 'aws-cdk-lib/aws-apigateway';

const attributeMap: JsonSchema = {
  type: JsonSchemaType.OBJECT,
  additionalProperties: { type: JsonSchemaType.OBJECT, minProperties: 1, maxProperties: 1 },
};

const change: JsonSchema = {
  type: JsonSchemaType.OBJECT,
  required: ['Keys', 'SequenceNumber'],
  properties: {
    ApproximateCreationDateTime: { type: JsonSchemaType.NUMBER },
    Keys: { ...attributeMap, minProperties: 1, maxProperties: 2 },
    NewImage: attributeMap,
    OldImage: attributeMap,
    SequenceNumber: { type: JsonSchemaType.STRING, pattern: '^[0-9]{1,40}$' },
    SizeBytes: { type: JsonSchemaType.INTEGER, minimum: 0 },
    StreamViewType: { enum: ['NEW_AND_OLD_IMAGES', 'NEW_IMAGE', 'OLD_IMAGE', 'KEYS_ONLY'] },
  },
};

const record: JsonSchema = {
  type: JsonSchemaType.OBJECT,
  required: ['eventName', 'eventSource', 'dynamodb'],
  properties: {
    eventID: { type: JsonSchemaType.STRING, maxLength: 128 },
    eventName: { enum: ['INSERT', 'MODIFY', 'REMOVE'] },
    eventSource: { enum: ['aws:dynamodb'] },
    eventVersion: { type: JsonSchemaType.STRING },
    awsRegion: { type: JsonSchemaType.STRING },
    eventSourceARN: { type: JsonSchemaType.STRING, pattern: '^arn:' },
    dynamodb: change,
  },
};

/** Records that the function takes in one request (`MAX_RECORDS` of `examples/stream-processor`). */
export const MAX_RECORDS = 100;

/**
 * The body of `POST /process`: stream records as Lambda delivers them, at most `maxRecords`, or an empty object.
 *
 * `Records` is optional because API Gateway takes an absent body for an empty object, and the function answers one.
 */
export function recordsSchema(maxRecords: number): JsonSchema {
  return {
    schema: JsonSchemaVersion.DRAFT4,
    title: 'Records',
    type: JsonSchemaType.OBJECT,
    additionalProperties: false,
    properties: { Records: { type: JsonSchemaType.ARRAY, maxItems: maxRecords, items: record } },
  };
}

// The function with Powertools for AWS Lambda (TypeScript), on a Runtime API client that does no more than it must.
import http from 'node:http';
import { BatchProcessor, EventType, processPartialResponse } from '@aws-lambda-powertools/batch';
import { unmarshall } from '@aws-sdk/util-dynamodb';

const processor = new BatchProcessor(EventType.DynamoDBStreams);
let handled = 0;

const record = async ({ eventName, dynamodb }) => {
  if (eventName !== 'MODIFY') return;
  const [old, current] = [unmarshall(dynamodb.OldImage), unmarshall(dynamodb.NewImage)];
  if (typeof old.status !== 'string' || typeof current.status !== 'string') throw new Error('no status');
  handled += 1;
};

const handler = (event, context) =>
  processPartialResponse(event, record, processor, { context, throwOnFullBatchFailure: false });

const [host, port] = process.env.AWS_LAMBDA_RUNTIME_API.split(':');
const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });

const call = (method, path, body) =>
  new Promise((resolve, reject) => {
    const request = http.request({ host, port, agent, method, path: `/2018-06-01/runtime/invocation/${path}` }, (response) => {
      const chunks = [];
      response.on('data', (chunk) => chunks.push(chunk));
      response.on('end', () => resolve({ headers: response.headers, body: Buffer.concat(chunks) }));
    });
    request.on('error', reject);
    request.end(body);
  });

for (;;) {
  const { headers, body } = await call('GET', 'next');
  const context = { awsRequestId: headers['lambda-runtime-aws-request-id'], getRemainingTimeInMillis: () => 60_000 };
  const answer = await handler(JSON.parse(body.toString('utf8')), context);
  await call('POST', `${context.awsRequestId}/response`, JSON.stringify(answer));
}

"""The function with Powertools for AWS Lambda (Python), on a Runtime API client that does no more than it must."""

import http.client
import json
import os
from types import SimpleNamespace

from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.data_classes.dynamo_db_stream_event import DynamoDBRecord

processor = BatchProcessor(event_type=EventType.DynamoDBStreams, raise_on_entire_batch_failure=False)


def record(record: DynamoDBRecord) -> None:
    if record.event_name.name != "MODIFY":
        return
    old, new = record.dynamodb.old_image, record.dynamodb.new_image
    if not isinstance(old["status"], str) or not isinstance(new["status"], str):
        raise ValueError("no status")


def handler(event, context):
    return process_partial_response(event=event, record_handler=record, processor=processor, context=context)


connection = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
ROOT = "/2018-06-01/runtime/invocation"
while True:
    connection.request("GET", f"{ROOT}/next")
    response = connection.getresponse()
    body = response.read()
    request_id = response.getheader("Lambda-Runtime-Aws-Request-Id")
    context = SimpleNamespace(aws_request_id=request_id, get_remaining_time_in_millis=lambda: 60_000)
    answer = json.dumps(handler(json.loads(body), context))
    connection.request("POST", f"{ROOT}/{request_id}/response", answer)
    connection.getresponse().read()

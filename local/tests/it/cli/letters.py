"""A processor of dead letters in Python. FAILS names the events that it reports, MODE what else it does, CALLS a file of its invocations."""
import base64, gzip, json, os, time, urllib.request

API = "http://" + os.environ["AWS_LAMBDA_RUNTIME_API"] + "/2018-06-01/runtime/invocation/"
MODE, FAILS = os.environ.get("MODE", ""), os.environ.get("FAILS", "").split()


def record(message):
    letter = json.loads(message["body"])
    if "recordGzip" in letter:
        return json.loads(gzip.decompress(base64.b64decode(letter["recordGzip"])))
    return letter["record"]


while True:
    response = urllib.request.urlopen(API + "next")
    request_id, event = response.headers["Lambda-Runtime-Aws-Request-Id"], json.load(response)
    assert all(message["eventSource"] == "aws:sqs" for message in event["Records"])
    events = [record(message)["eventID"] for message in event["Records"]]
    with open(os.environ["CALLS"], "a") as calls:
        calls.write(json.dumps(events) + "\n")
    failures = [message for message, id in zip(event["Records"], events) if id in FAILS]
    for message in failures:
        print(json.dumps({"level": "WARN", "message": "record failed", "event_id": record(message)["eventID"],
                          "error.type": "handler", "error": "the index is down", "attempts": 1, "next": "reported"}))
    path, answer = "/response", {"batchItemFailures": [{"itemIdentifier": failed["messageId"]} for failed in failures]}
    if MODE == "waits":
        while not os.path.exists(os.environ["GO"]):
            time.sleep(0.01)
    elif MODE == "hangs":
        time.sleep(600)
    elif MODE == "no-letters":
        path, answer = "/error", {"errorType": "LambdaStreams.Event", "errorMessage": "no message holds a dead letter"}
    elif MODE == "anything":
        answer = {"statusCode": 200}
    urllib.request.urlopen(urllib.request.Request(API + request_id + path, json.dumps(answer).encode(), method="POST"))

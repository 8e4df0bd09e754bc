"""A stream's function in Python, which does what MODE says."""
import json, os, sys, time, urllib.request

API = "http://" + os.environ["AWS_LAMBDA_RUNTIME_API"] + "/2018-06-01/runtime/invocation/"
MODE = os.environ.get("MODE", "")

if MODE == "dead":
    sys.exit("KeyError: 'DLQ_URL'")

invocations = 0
while True:
    response = urllib.request.urlopen(API + "next")
    request_id, event = response.headers["Lambda-Runtime-Aws-Request-Id"], json.load(response)
    numbers = [record["dynamodb"]["SequenceNumber"] for record in event.get("Records", [])]
    invocations += 1
    path, answer = request_id + "/response", {"batchItemFailures": []}
    if MODE == "error" or MODE == "recovers" and invocations <= 2:
        path, answer = request_id + "/error", {"errorType": "Down", "errorMessage": "the index is down"}
    elif MODE == "second":
        answer = {"batchItemFailures": [{"itemIdentifier": numbers[1]}]}
    elif MODE == "explains":
        answer = {"batchItemFailures": [{"itemIdentifier": numbers[1]}]}
        print(json.dumps({"level": "WARN", "message": "record failed", "sequence_number": numbers[1],
                          "error.type": "handler", "error": "the index is down", "attempts": 3, "next": "reported"}))
        print(json.dumps({"level": "DEBUG", "message": "record succeeded", "sequence_number": numbers[2]}))
    elif MODE == "dead-letters":
        print(json.dumps({"level": "WARN", "message": "record failed", "event_id": event["Records"][0]["eventID"],
                          "error.type": "decode", "error": "no such field", "attempts": 1, "next": "dead-lettered"}))
    elif MODE == "misspelt":
        answer = {"batchItemFailure": [{"itemIdentifier": numbers[0]}]}
    elif MODE == "waits":
        while not os.path.exists(os.environ["GO"]):
            time.sleep(0.01)
    print(json.dumps({"level": "INFO", "records": len(numbers), "dead_lettered": int(MODE == "letter")}), flush=True)
    urllib.request.urlopen(urllib.request.Request(API + path, json.dumps(answer).encode(), method="POST"))

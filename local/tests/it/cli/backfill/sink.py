"""A function that writes each record into the file SINK, and does what MODE says with it."""
import json, os, sys, time, urllib.request

API = "http://" + os.environ["AWS_LAMBDA_RUNTIME_API"] + "/2018-06-01/runtime/invocation/"
MODE = os.environ.get("MODE", "")
FAIL = [name for name in os.environ.get("FAIL", "").split(",") if name]

invocations = 0
while True:
    response = urllib.request.urlopen(API + "next")
    request_id, event = response.headers["Lambda-Runtime-Aws-Request-Id"], json.load(response)
    invocations += 1
    failures = []
    if MODE == "waits":
        print("asked", flush=True)
        while not os.path.exists(os.environ["GO"]):
            time.sleep(0.01)
    with open(os.environ["SINK"], "a") as sink:
        for record in event["Records"]:
            name = record["dynamodb"]["Keys"]["id"]["S"]
            if name in FAIL:
                failures.append({"itemIdentifier": record["eventID"]})
            elif MODE != "error":
                sink.write(json.dumps({"origin": event.get("lambdaStreams"), "record": record}) + "\n")
    path, answer = request_id + "/response", {"batchItemFailures": failures}
    if MODE == "list":
        done = len(event["Records"]) - len(failures)
        answer["lambdaStreams"] = {"everyFailureIsListed": True, "succeeded": done, "failed": len(failures)}
    if MODE == "error":
        path, answer = request_id + "/error", {"errorType": "Down", "errorMessage": "the index is down"}
    if MODE == "kills" and invocations == 3:
        os.kill(os.getppid(), 9)
        sys.exit()
    urllib.request.urlopen(urllib.request.Request(API + path, json.dumps(answer).encode(), method="POST"))

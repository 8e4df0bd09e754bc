"""A function in Python that writes down what it was sent, and answers as its variables say.

SEEN: the file to which it appends a line for each record: its name. FAILS: names that it reports, separated by commas.
LISTS: it names every record that is not done, as functions of lambda-streams do. ERRS: names that make it fail as a whole.
GO: it waits until this file exists.
"""
import json, os, time, urllib.request

API = "http://" + os.environ["AWS_LAMBDA_RUNTIME_API"] + "/2018-06-01/runtime/invocation/"
names_of = lambda name: set(filter(None, os.environ.get(name, "").split(",")))
FAILS, ERRS = names_of("FAILS"), names_of("ERRS")

while True:
    response = urllib.request.urlopen(API + "next")
    request_id, event = response.headers["Lambda-Runtime-Aws-Request-Id"], json.load(response)
    records = event.get("Records", [])
    names = [record.get("messageId") or (record.get("dynamodb") or {}).get("SequenceNumber") or record.get("eventID", "") for record in records]
    with open(os.environ["SEEN"], "a") as seen:
        seen.writelines(name + "\n" for name in names)
    while os.environ.get("GO") and not os.path.exists(os.environ["GO"]):
        time.sleep(0.01)
    path = request_id + "/response"
    answer = {"batchItemFailures": [{"itemIdentifier": name} for name in names if name in FAILS]}
    if os.environ.get("LISTS"):
        head = event.get("lambdaStreams", {})
        answer["lambdaStreams"] = {"everyFailureIsListed": True, "succeeded": len(names) - len(answer["batchItemFailures"]),
                                   "marks": bool(os.environ.get("MARKS")), "asked": head}
    if ERRS & set(names):
        path, answer = request_id + "/error", {"errorType": "Down", "errorMessage": "the index is down"}
    urllib.request.urlopen(urllib.request.Request(API + path, json.dumps(answer).encode(), method="POST"))

"""A function in another language, with nothing but the Runtime API: it does what its event says."""
import json, os, signal, sys, time, urllib.request

API = "http://" + os.environ["AWS_LAMBDA_RUNTIME_API"] + "/2018-06-01/runtime"
START = os.environ.get("START", "")


def post(path, body):
    request = urllib.request.Request(API + path, json.dumps(body).encode(), method="POST")
    return urllib.request.urlopen(request).status


if START == "exit":
    sys.exit("no configuration found")
if START == "init-error":
    post("/init/error", {"errorType": "Config", "errorMessage": "DLQ_URL is missing"})
    sys.exit(1)
if START == "silent":
    time.sleep(3600)
if START == "once" and os.path.exists(os.environ["MARK"]):
    sys.exit("only once")
if START == "once":
    open(os.environ["MARK"], "w").close()

while True:
    response = urllib.request.urlopen(API + "/invocation/next")
    headers, event = response.headers, json.load(response)
    invocation = "/invocation/" + headers["Lambda-Runtime-Aws-Request-Id"]
    action = event.get("do")
    print("doing", action, flush=True)
    if action == "exit":
        print("out of luck", file=sys.stderr, flush=True)
        os._exit(3)
    elif action == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif action == "hang":
        time.sleep(3600)
    elif action == "error":
        post(invocation + "/error", {"errorType": "Down", "errorMessage": "the index is down", "stackTrace": []})
    elif action == "big":
        try:
            post(invocation + "/response", "x" * 7_000_000)
        except urllib.error.HTTPError as error:
            print("refused", error.code, flush=True)
    elif action == "wait-for":
        while not os.path.exists(event["file"]):
            time.sleep(0.01)
        post(invocation + "/response", os.getpid())
    elif action == "echo":
        ids = {"mine": headers["Lambda-Runtime-Invocation-Id"], "other": "of-an-earlier-call"}
        statuses = []
        for name in event["ids"]:
            body = json.dumps({"statuses": statuses, "id": ids["mine"]}).encode()
            request = urllib.request.Request(API + invocation + "/response", body, method="POST")
            request.add_header("Lambda-Runtime-Invocation-Id", ids[name])
            try:
                statuses.append(urllib.request.urlopen(request).status)
            except urllib.error.HTTPError as error:
                statuses.append(error.code)
    else:
        post(invocation + "/response", {
            "pid": os.getpid(),
            "deadline": int(headers["Lambda-Runtime-Deadline-Ms"]) - time.time() * 1000,
            "arn": headers["Lambda-Runtime-Invoked-Function-Arn"],
            "trace": headers["Lambda-Runtime-Trace-Id"],
            "environment": {name: value for name, value in os.environ.items() if "LAMBDA" in name or name == "MINE"},
            "event": event,
        })

"""The on-demand API, called as its users call it."""

import json
from dataclasses import dataclass
from typing import Any

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as Keys

from harness.deployment import Deployment
from harness.emulator import ADDRESS, REGION, Credentials

JSON = "application/json"


@dataclass
class Answer:
    status: int
    body: Any
    headers: dict[str, str]


class Api:
    """The API at the endpoint of the outputs, whose host name only AWS resolves."""

    def __init__(self, deployment: Deployment, caller: Credentials) -> None:
        self.caller = caller
        self._emulator = deployment.emulator
        _, _, path = deployment.outputs["ApiEndpoint"].partition("amazonaws.com/")
        stage, _, self._path = path.partition("/")
        self._base = f"{deployment.emulator.endpoint}/restapis/{deployment.api_id}/{stage}/_user_request_"
        gateway = deployment.client("apigateway")
        self.key = gateway.get_api_key(apiKey=deployment.outputs["ApiKeyId"], includeValue=True)["value"]

    def get(self, **options: Any) -> Answer:
        return self.call("GET", **options)

    def post(self, body: Any = None, **options: Any) -> Answer:
        """Posts something as JSON, signed by the caller unless something else is said."""
        data = None if body is None else json.dumps(body).encode()
        return self.call("POST", data, **({"signed_by": self.caller} | options))

    def call(
        self,
        method: str,
        body: bytes | None = None,
        *,
        key: str | None = "the deployed one",
        signed_by: Credentials | None = None,
        source: str = ADDRESS,
        path: str | None = None,
        content_type: str = JSON,
    ) -> Answer:
        url = f"{self._base}/{self._path if path is None else path}"
        headers = {} if body is None else {"content-type": content_type}
        if key is not None:
            headers["x-api-key"] = self.key if key == "the deployed one" else key
        if signed_by is not None:
            headers = signed(method, url, body, headers, signed_by)
        answer = self._emulator.http(source).request(method, url, body=body, headers=headers)
        return Answer(answer.status, json.loads(answer.data), dict(answer.headers))


def signed(method: str, url: str, body: bytes | None, headers: dict[str, str], keys: Credentials) -> dict[str, str]:
    """The headers of a request that is signed with IAM."""
    request = AWSRequest(method=method, url=url, data=body or b"", headers=headers)
    access = Keys(keys["aws_access_key_id"], keys["aws_secret_access_key"], keys.get("aws_session_token"))
    SigV4Auth(access, "execute-api", REGION).add_auth(request)
    return dict(request.headers)

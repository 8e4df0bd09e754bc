"""The functions' logs, read from their log groups as a user reads them."""

import json
import time
from typing import Any

Line = dict[str, Any]


class Logs:
    """One log group, from the moment on when this was made."""

    def __init__(self, client: Any, group: str) -> None:
        self._client = client
        self._group = group
        self._since = int(time.time() * 1000)

    def messages(self) -> list[str]:
        """Everything that stands in the group, in the order of the invocations."""
        pages = self._client.get_paginator("filter_log_events").paginate(logGroupName=self._group, startTime=self._since)
        return [event["message"] for page in pages for event in page["events"]]

    def lines(self) -> list[Line]:
        """What the function itself wrote. Every line must be one JSON object, but for what Lambda wrote itself."""
        return [json.loads(message) for message in self.messages() if not message.startswith(("START ", "END ", "REPORT "))]

    def said(self, message: str, **fields: Any) -> list[Line]:
        """The function's log lines with this message and these fields."""
        wanted = {"message": message} | fields
        return [line for line in self.lines() if all(line.get(name) == value for name, value in wanted.items())]

    def metrics(self) -> list[Line]:
        """The lines in CloudWatch's embedded metric format."""
        return [line for line in self.lines() if "_aws" in line]

"""The functions' logs, read from their log groups as a user reads them."""

import json
import time
from typing import Any

Line = dict[str, Any]


class Logs:
    """One log group, from the moment on when this was made."""

    # `filter_log_events` would do, but the emulator's ends after 10,000 lines.
    def __init__(self, client: Any, group: str) -> None:
        self._client = client
        self._group = group
        self._since = int(time.time() * 1000)
        # The messages of each stream, with what they were read at.
        self._read: dict[str, tuple[int, list[str]]] = {}

    def messages(self) -> list[str]:
        """All lines of the group, in the order of the invocations."""
        pages = self._client.get_paginator("describe_log_streams").paginate(logGroupName=self._group)
        streams = [it for page in pages for it in page["logStreams"] if it.get("firstEventTimestamp", 0) >= self._since]
        streams.sort(key=lambda stream: stream["firstEventTimestamp"])
        return [message for stream in streams for message in self._messages_of(stream)]

    def _messages_of(self, stream: dict[str, Any]) -> list[str]:
        name, latest = stream["logStreamName"], stream["lastIngestionTime"]
        if self._read.get(name, (None,))[0] != latest:
            self._read[name] = (latest, self._read_stream(name))
        return self._read[name][1]

    def _read_stream(self, name: str) -> list[str]:
        messages: list[str] = []
        position: dict[str, str] = {}
        while True:
            page = self._client.get_log_events(logGroupName=self._group, logStreamName=name, startFromHead=True, **position)
            messages += [event["message"] for event in page["events"]]
            if position.get("nextToken") == page["nextForwardToken"]:
                return messages
            position = {"nextToken": page["nextForwardToken"]}

    def lines(self) -> list[Line]:
        """What the function itself wrote. Every line must be one JSON object, except for what Lambda wrote itself."""
        return [json.loads(message) for message in self.messages() if not message.startswith(("START ", "END ", "REPORT "))]

    def said(self, message: str, **fields: Any) -> list[Line]:
        """The function's log lines with this message and these fields."""
        wanted = {"message": message} | fields
        return [line for line in self.lines() if all(line.get(name) == value for name, value in wanted.items())]

    def metrics(self) -> list[Line]:
        """The lines in CloudWatch's embedded metric format."""
        return [line for line in self.lines() if "_aws" in line]

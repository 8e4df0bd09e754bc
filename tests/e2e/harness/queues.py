"""The dead-letter queue, read as a user reads it."""

import json
from typing import Any

from harness import wait

Letter = dict[str, Any]


class Queue:
    """A queue that one scenario after the other empties."""

    def __init__(self, client: Any, url: str) -> None:
        self._client = client
        self.url = url

    def take(self) -> list[Letter]:
        """The messages that wait, which are taken out: each one's body, read, with its text and its attributes."""
        letters = []
        while True:
            answer = self._client.receive_message(
                QueueUrl=self.url, MaxNumberOfMessages=10, MessageAttributeNames=["All"], VisibilityTimeout=30
            )
            messages = answer.get("Messages", [])
            if not messages:
                return letters
            for message in messages:
                attributes = {name: it["StringValue"] for name, it in message.get("MessageAttributes", {}).items()}
                letters.append(json.loads(message["Body"]) | {"text": message["Body"], "attributes": attributes})
                self._client.delete_message(QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"])

    def take_until(self, count: int, seconds: float = 60) -> list[Letter]:
        """As many messages as there should be, at least."""
        letters: list[Letter] = []

        def enough() -> bool:
            letters.extend(self.take())
            return len(letters) >= count

        wait.until(f"{count} messages in {self.url}", enough, seconds)
        return letters

    def arn(self) -> str:
        return self._client.get_queue_attributes(QueueUrl=self.url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]

    def waiting(self) -> int:
        """How many messages there are, taken for a while or not."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible", "ApproximateNumberOfMessagesDelayed"]
        attributes = self._client.get_queue_attributes(QueueUrl=self.url, AttributeNames=names)["Attributes"]
        return sum(int(attributes[name]) for name in names)

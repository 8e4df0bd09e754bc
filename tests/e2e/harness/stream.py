"""The table's stream, read as an event source mapping reads it."""

import base64
from datetime import datetime
from typing import Any

Record = dict[str, Any]


class StreamReader:
    """Reads what is written to the stream after this was made."""

    def __init__(self, client: Any, stream_arn: str) -> None:
        self._client = client
        self._arn = stream_arn
        shards = client.describe_stream(StreamArn=stream_arn)["StreamDescription"]["Shards"]
        self._iterators = [self._iterator_at_the_end(shard["ShardId"]) for shard in shards]

    def _iterator_at_the_end(self, shard: str) -> str:
        return self._client.get_shard_iterator(StreamArn=self._arn, ShardId=shard, ShardIteratorType="LATEST")["ShardIterator"]

    def read(self) -> list[Record]:
        """The records since the last time, as a function gets them."""
        records = []
        for position, iterator in enumerate(self._iterators):
            while iterator:
                answer = self._client.get_records(ShardIterator=iterator, Limit=1000)
                iterator = answer.get("NextShardIterator")
                if not answer["Records"]:
                    break
                records += [self._as_delivered(record) for record in answer["Records"]]
            self._iterators[position] = iterator
        return records

    def _as_delivered(self, record: Record) -> Record:
        return plain(record) | {"eventSourceARN": self._arn}


def plain(value: Any) -> Any:
    """A value of the SDK as Lambda writes it in JSON."""
    match value:
        case dict():
            return {name: plain(it) for name, it in value.items()}
        case list() | set():
            return [plain(it) for it in value]
        case datetime():
            return int(value.timestamp())
        case bytes():
            return base64.b64encode(value).decode()
        case _:
            return value

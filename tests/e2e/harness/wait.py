"""Waiting for what happens in other processes: a condition is asked again until it holds or its time is over."""

import time
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")

BETWEEN_TRIES = 0.1


def until(what: str, condition: Callable[[], Found], seconds: float = 60) -> Found:
    """What `condition` returns, once that is true; fails with `what` after `seconds`."""
    end = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds:g} s: {what}; last seen: {found!r}")
        time.sleep(BETWEEN_TRIES)

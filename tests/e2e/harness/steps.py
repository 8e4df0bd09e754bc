"""The lines that say what goes on, and the table of what everything took."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass
class Step:
    name: str
    seconds: float
    outcome: str


class Steps:
    """Prints a line for each step."""

    def __init__(self) -> None:
        self.done: list[Step] = []
        self.print_line = print

    @contextmanager
    def step(self, name: str, *, is_long: bool = True) -> Iterator[None]:
        """Says what a step took; of a long one also that it begins."""
        if is_long:
            self.print_line(f"=== {name} ...")
        started = time.monotonic()
        try:
            yield
        except BaseException:
            self.finish(name, time.monotonic() - started, "FAILED")
            raise
        self.finish(name, time.monotonic() - started, "ok")

    def finish(self, name: str, seconds: float, outcome: str) -> None:
        self.done.append(Step(name, seconds, outcome))
        failed = "" if outcome == "ok" else f", {outcome}"
        self.print_line(f"=== {name}: {seconds:.0f} s{failed}")

    def table(self) -> list[str]:
        width = max((len(step.name) for step in self.done), default=0)
        rows = [f"{step.name:<{width}}  {step.seconds:7.1f} s  {step.outcome}" for step in self.done]
        total = sum(step.seconds for step in self.done)
        return [*rows, f"{'all of it':<{width}}  {total:7.1f} s"]

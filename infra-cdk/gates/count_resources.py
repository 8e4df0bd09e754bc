"""Prints how many resources each template has, and how many static findings were accepted in it."""

import json
import sys
from pathlib import Path

counts = []
for name in map(Path, sys.argv[1:]):
    resources = json.loads(name.read_text())["Resources"]
    counts.append(f"{name.parent.name}/{name.name.removesuffix('.template.json')} {len(resources)}")
print(", ".join(counts))

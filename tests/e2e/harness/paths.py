"""Where things are."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
INFRA = ROOT / "infra-cdk"
TARGET = Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target").absolute()
# Everything that a run makes; removed when it passed.
RUNS = TARGET / "e2e"

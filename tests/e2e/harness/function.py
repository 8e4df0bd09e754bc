"""The function's program: built for this machine's processor, as Lambda's `provided.al2023` can run it."""

import platform
import re
import shutil
import subprocess
from pathlib import Path

from harness import cargo_lambda

# What Amazon Linux 2023 has.
GLIBC = (2, 34)
ARCHITECTURES = {"x86_64": "x86_64", "aarch64": "arm64", "arm64": "arm64"}


def architecture() -> str:
    """What Lambda calls this machine's processor: the emulator runs the function as a process of it."""
    return ARCHITECTURES[platform.machine()]


def build(folder: Path, log: Path) -> Path:
    """Builds the function, checks it, and puts it as `bootstrap` into `folder`: what `cdk deploy` takes as an asset."""
    cargo_lambda.build(folder, log)
    check_glibc(folder / "bootstrap")
    return folder


def build_orders(folder: Path, log: Path) -> Path:
    """Builds the README's function in the same way."""
    cargo_lambda.build(folder, log, cargo_lambda.ORDERS, "orders")
    check_glibc(folder / "bootstrap")
    return folder


def build_totals(folder: Path, log: Path) -> Path:
    """Builds the function of the guide on guards in the same way."""
    cargo_lambda.build(folder, log, cargo_lambda.TOTALS, "totals")
    check_glibc(folder / "bootstrap")
    return folder


def check_glibc(program: Path) -> None:
    """Fails if the program needs a newer C library than Lambda has."""
    if shutil.which("objdump") is None:
        raise SystemExit("no `objdump` on the PATH: it tells which C library the function needs (Debian package binutils)")
    symbols = subprocess.run(["objdump", "-T", program], check=True, capture_output=True, text=True).stdout
    versions = {tuple(map(int, version.split("."))) for version in re.findall(r"GLIBC_([0-9.]+)", symbols)}
    assert versions, f"{program} names no version of the C library"
    newest = ".".join(map(str, max(versions)))
    assert max(versions) <= GLIBC, (
        f"the function needs GLIBC {newest}, and provided.al2023 has {GLIBC[0]}.{GLIBC[1]}: "
        "build it with `cargo lambda build --release`, which links against an older one"
    )

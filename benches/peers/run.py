#!/usr/bin/env python3
"""The same events through the same function in four shapes, each under a Lambda Runtime API on loopback.

`python3 benches/peers/run.py` builds and installs what it needs below `target/peers`, prints a table in which every
figure is a ratio within this run, and writes the plot `benches/peers/peers.svg`. Functions take turns, so a noisy
machine is noisy for all. In its turn a function is invoked several times in a row, as by a stream that has more: the first
invocation, for which the others have emptied the caches, is reported separately.
"""

import os
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
WORK = TARGET / "peers"
COUNTS = [1, 100, 1_000, 3_700]
ROUNDS = {1: 20, 100: 16, 1_000: 16, 3_700: 8}
IN_A_ROW = 6
TICKS = os.sysconf("SC_CLK_TCK")


def sh(*command, cwd=ROOT):
    subprocess.run(command, cwd=cwd, check=True, stdout=subprocess.DEVNULL)


def functions():
    """Builds each function; gives its name and the command that starts it."""
    WORK.mkdir(parents=True, exist_ok=True)
    sh("cargo", "build", "--quiet", "--release", "-p", "lambda-streams-peers")
    release = TARGET / "release"
    for name in ("package.json", "function.mjs"):
        (WORK / name).write_bytes((HERE / name).read_bytes())
    if not (WORK / "node_modules").exists():
        sh("npm", "install", "--no-audit", "--no-fund", cwd=WORK)
    python = WORK / "venv" / "bin" / "python"
    if not python.exists():
        sh(sys.executable, "-m", "venv", str(WORK / "venv"))
        sh(str(python), "-m", "pip", "install", "--quiet", "-r", str(HERE / "requirements.txt"))
    return {
        "lambda-streams": [release / "peer_ours"],
        "its tower service": [release / "peer_ours", "service"],
        "Rust by hand": [release / "peer_by_hand"],
        "Powertools TypeScript": ["node", WORK / "function.mjs"],
        "Powertools Python": [python, HERE / "function.py"],
    }


class Function:
    """A running function and its Runtime API."""

    def __init__(self, command):
        self.listener = socket.create_server(("127.0.0.1", 0))
        host, port = self.listener.getsockname()
        environment = os.environ | {
            "AWS_LAMBDA_RUNTIME_API": f"{host}:{port}",
            "AWS_LAMBDA_FUNCTION_NAME": "orders",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1024",
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "POWERTOOLS_LOG_LEVEL": "ERROR",
        }
        begun = time.perf_counter()
        self.process = subprocess.Popen([str(part) for part in command], env=environment, stdout=subprocess.DEVNULL)
        self.connection = None
        self.expect("next")
        self.init = time.perf_counter() - begun

    def expect(self, end):
        """Reads requests until one for a path with this end; gives its body."""
        while True:
            if self.connection is None:
                self.connection, _ = self.listener.accept()
                self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.reader = self.connection.makefile("rb")
            line = self.reader.readline().decode()
            if not line:
                self.connection = None
                continue
            length = 0
            while (header := self.reader.readline().decode().strip()) != "":
                name, value = header.split(":", 1)
                length = int(value) if name.lower() == "content-length" else length
            body = self.reader.read(length)
            path = line.split(" ")[1]
            if not path.endswith(end):
                raise RuntimeError(f"{path}: {body!r}")
            return body

    def invoke(self, payload):
        """Seconds from the payload's first byte to the answer's last, and seconds of CPU until the next request."""
        cpu = self.cpu()
        head = (
            f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(payload)}\r\n"
            "Lambda-Runtime-Aws-Request-Id: request-1\r\nLambda-Runtime-Deadline-Ms: 4102444800000\r\n"
            "Lambda-Runtime-Invoked-Function-Arn: arn:aws:lambda:eu-central-1:123456789012:function:orders\r\n\r\n"
        )
        begun = time.perf_counter()
        self.connection.sendall(head.encode())
        self.connection.sendall(payload)
        answer = self.expect("/response")
        took = time.perf_counter() - begun
        if b"itemIdentifier" in answer:
            raise RuntimeError(answer.decode())
        self.connection.sendall(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")
        self.expect("next")
        return took, self.cpu() - cpu

    def cpu(self):
        """Seconds of CPU so far, from the scheduler's nanoseconds of every thread."""
        tasks = Path(f"/proc/{self.process.pid}/task").iterdir()
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9

    def peak(self):
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) / 1024

    def stop(self):
        self.process.kill()
        self.process.wait()


def measure(commands):
    events = {n: subprocess.run([TARGET / "release" / "peer_event", str(n)], capture_output=True, check=True).stdout for n in COUNTS}
    kinds = ("first", "time", "cpu")
    rows = {name: {"init": [], "peak": {}} | {kind: {n: [] for n in COUNTS} for kind in kinds} for name in commands}
    for name in [name for _ in range(5) for name in commands]:
        function = Function(commands[name])
        rows[name]["init"].append(function.init)
        function.stop()
    for count in COUNTS:
        running = {name: Function(command) for name, command in commands.items()}
        for _ in range(ROUNDS[count]):
            for name, function in running.items():
                first, _ = function.invoke(events[count])
                rows[name]["first"][count].append(first)
                for took, cpu in [function.invoke(events[count]) for _ in range(IN_A_ROW - 1)]:
                    rows[name]["time"][count].append(took)
                    rows[name]["cpu"][count].append(cpu)
        for name, function in running.items():
            rows[name]["peak"][count] = function.peak()
            function.stop()
    return rows


def warm(values):
    """Without the first invocations: just-in-time compilers and allocators have settled."""
    return values[len(values) // 3 :]


def table(rows, commands):
    """Markdown; every figure but sizes is a multiple of ours. First requests are the fastest of five starts."""
    ours = rows["lambda-streams"]
    head = ["", "first `/next`"] + [f"{n:,} records" for n in COUNTS] + ["1,000, after others", "CPU, 1,000", "peak MB, 3,700", "binary MB"]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for name, row in rows.items():
        ratio = lambda values, base: f"{statistics.median(values) / statistics.median(base):.1f} ×"
        cells = [name, f"{min(row['init']) / min(ours['init']):.1f} ×"]
        cells += [ratio(warm(row["time"][n]), warm(ours["time"][n])) for n in COUNTS]
        cells += [ratio(warm(row["first"][1_000]), warm(ours["first"][1_000]))]
        cells += [ratio(warm(row["cpu"][1_000]), warm(ours["cpu"][1_000])), f"{row['peak'][3_700]:.0f}"]
        binary = Path(commands[name][0])
        cells += [f"{binary.stat().st_size / 1e6:.1f}" if "release" in str(binary) else "–"]
        lines.append("| " + " | ".join(cells) + " |")
    absolute = ", ".join(f"{n:,} records {statistics.median(warm(ours['time'][n])) * 1e3:.2f} ms" for n in COUNTS)
    lines += ["", f"Ours took, on this machine and in this run: first `/next` {min(ours['init']) * 1e3:.1f} ms; {absolute}."]
    return "\n".join(lines)


COLOURS = {"lambda-streams": "#0f766e", "its tower service": "#5eaaa3", "Rust by hand": "#b45309", "Powertools TypeScript": "#3f6fb5", "Powertools Python": "#8b6fb3"}


def svg(rows):
    """Bars of the time for an invocation of 1,000 records, as multiples of ours."""
    ours = statistics.median(warm(rows["lambda-streams"]["time"][1_000]))
    bars = [(name, statistics.median(warm(row["time"][1_000])) / ours) for name, row in rows.items()]
    left, right, top, step = 190, 80, 58, 34
    width, height = 720, top + step * len(bars) + 14
    scale = (width - left - right) / max(ratio for _, ratio in bars)
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="system-ui, sans-serif" font-size="13">',
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        '<text x="16" y="26" font-size="15" font-weight="600" fill="#1f2933">One invocation of 1,000 records (1.6 MB), end to end</text>',
        '<text x="16" y="44" fill="#52606d">median time as a multiple of lambda-streams from the bytes; shorter is better</text>',
    ]
    for index, (name, ratio) in enumerate(bars):
        y = top + step * index + 6
        length = scale * ratio
        out.append(f'<text x="{left - 10}" y="{y + 16}" text-anchor="end" fill="#1f2933">{name}</text>')
        out.append(f'<rect x="{left}" y="{y}" width="{length:.1f}" height="22" rx="3" fill="{COLOURS[name]}"/>')
        out.append(f'<text x="{left + length + 8:.1f}" y="{y + 16}" fill="#1f2933">{ratio:.1f} ×</text>')
    out.append("</svg>")
    return "\n".join(out) + "\n"


def main():
    commands = functions()
    rows = measure(commands)
    print(table(rows, commands))
    (HERE / "peers.svg").write_text(svg(rows))


if __name__ == "__main__":
    main()

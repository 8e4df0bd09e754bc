"""MiniStack, the local AWS, as a process of this run."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import boto3
import urllib3
from botocore.config import Config
from botocore.exceptions import ClientError

from harness import processes, wait

ADDRESS = "127.0.0.1"
# Another address of this machine, which the demo's allow-list does not hold.
OTHER_ADDRESS = "127.0.0.2"
REGION = "us-east-1"
ACCOUNT = "000000000000"
# The account's root, as the emulator knows it.
ROOT_KEYS = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}

# Becomes the program, whose group a child kills when standard input closes: with this process, however that ends.
GUARD = 'exec 3<&0; (read -r _ <&3; kill -s KILL -- -$$) & exec "$0" 3<&-'

Credentials = dict[str, str]


class Emulator:
    """A running MiniStack that checks signatures and policies, over TLS, with nothing outside its folder."""

    def __init__(self, folder: Path) -> None:
        self.log = folder / "ministack.log"
        self._clients: dict[tuple[str, str], Any] = {}
        self._temporary = folder / "ministack"
        self._temporary.mkdir()
        # Policies here refuse what comes without TLS; MiniStack makes the certificate itself.
        self.certificate = self._temporary / "ministack-tls" / "server.crt"
        self._start()

    def _start(self) -> None:
        if shutil.which("openssl") is None:
            raise SystemExit("no `openssl` on the PATH: the emulator makes its certificate with it (Debian package openssl)")
        # Another process may take the port between its choice and its use.
        for _ in range(3):
            self.port = processes.free_port()
            self.endpoint = f"https://{ADDRESS}:{self.port}"
            self._program = self._spawn()
            if self._is_ready():
                return
            self.stop()
        raise SystemExit(f"MiniStack does not start; the end of {self.log}:\n{processes.tail(self.log)}")

    def _spawn(self) -> subprocess.Popen[bytes]:
        program = Path(sys.executable).with_name("ministack")
        with self.log.open("ab") as output:
            return subprocess.Popen(
                ["sh", "-c", GUARD, program],
                cwd=self._temporary,
                env=self._environment(),
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _environment(self) -> dict[str, str]:
        own = {
            "GATEWAY_PORT": str(self.port),
            "BIND_HOST": ADDRESS,
            "MINISTACK_HOST": ADDRESS,
            "MINISTACK_REGION": REGION,
            "IOT_MTLS_ENABLED": "0",
            "AUTH": "true",
            "USE_SSL": "1",
            "LAMBDA_EXECUTOR": "local",
            "TMPDIR": str(self._temporary),
            # The functions inherit these: how to reach the emulator, and to trust it.
            "AWS_ENDPOINT_URL": self.endpoint,
            "SSL_CERT_FILE": str(self.certificate),
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        return outside_environment() | own

    def _is_ready(self) -> bool:
        def answers() -> bool:
            if self._program.poll() is not None:
                return True
            try:
                return self.http().request("GET", f"{self.endpoint}/_ministack/ready").status == 200
            except (urllib3.exceptions.HTTPError, OSError):
                return False

        wait.until("MiniStack answers", answers, 90)
        return self._program.poll() is None

    def stop(self) -> None:
        """Ends MiniStack and the functions that it runs."""
        # It has nothing to save, and takes its time to end by itself.
        processes.end_group(self._program, grace=2)
        self._program.stdin.close()
        # It runs the functions as processes, out of its own folder.
        left = processes.running_from(self._temporary)
        assert left == [], f"functions that run on after the emulator: {left}"

    def http(self, source: str = ADDRESS) -> urllib3.PoolManager:
        """A client that trusts the emulator and calls from the given address of this machine."""
        return urllib3.PoolManager(
            ca_certs=str(self.certificate), source_address=(source, 0), retries=False, timeout=urllib3.Timeout(connect=5, read=60)
        )

    def client(self, service: str, credentials: Credentials | None = None) -> Any:
        """A client of one AWS service: the account's root, or somebody else."""
        keys = credentials or ROOT_KEYS
        known = (service, keys["aws_access_key_id"])
        if known not in self._clients:
            self._clients[known] = self._new_client(service, keys)
        return self._clients[known]

    def _new_client(self, service: str, keys: Credentials) -> Any:
        settings = Config(connect_timeout=5, read_timeout=120, retries={"total_max_attempts": 1}, s3={"addressing_style": "path"})
        return boto3.session.Session(region_name=REGION, **keys).client(
            service, endpoint_url=self.endpoint, verify=str(self.certificate), config=settings
        )

    def environment(self) -> dict[str, str]:
        """The environment in which AWS tools talk to the emulator, and only to it."""
        return outside_environment() | {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ENDPOINT_URL_S3": self.endpoint,
            "AWS_ACCESS_KEY_ID": ROOT_KEYS["aws_access_key_id"],
            "AWS_SECRET_ACCESS_KEY": ROOT_KEYS["aws_secret_access_key"],
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_CA_BUNDLE": str(self.certificate),
            "NODE_EXTRA_CA_CERTS": str(self.certificate),
            "SSL_CERT_FILE": str(self.certificate),
            "AWS_EC2_METADATA_DISABLED": "true",
            # A developer's own profiles are not looked at.
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }


def outside_environment() -> dict[str, str]:
    """This process's environment without anything that leads AWS tools elsewhere."""
    leads = ("AWS_", "CDK_", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "LAMBDA_", "MINISTACK_")
    return {name: value for name, value in os.environ.items() if not name.upper().startswith(leads)}


def error_code(error: ClientError) -> str:
    return error.response["Error"]["Code"]

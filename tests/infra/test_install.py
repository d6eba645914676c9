"""What the fleet installs jobq with, against a server that answers as an identity's endpoint and as a container do."""

import base64
import hashlib
import importlib.util
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import parse_qs, urlsplit

import pytest

SCRIPT = Path(__file__).parents[2] / "infra" / "worker" / "install.py"
WHEEL = "tiny-1.0-py3-none-any.whl"
REQUIREMENTS = b"# nothing\n"


def tiny_wheel() -> bytes:
    """A package with one command, `tiny`."""
    files = {
        "tiny.py": "import sys\n\n\ndef main():\n    print('tiny', *sys.argv[1:])\n",
        "tiny-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n",
        "tiny-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "tiny-1.0.dist-info/entry_points.txt": "[console_scripts]\ntiny = tiny:main\n",
    }
    record = "".join(f"{name},sha256={_digest(text)},{len(text)}\n" for name, text in files.items())
    content = BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
        archive.writestr("tiny-1.0.dist-info/RECORD", f"{record}tiny-1.0.dist-info/RECORD,,\n")
    return content.getvalue()


def _digest(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()


class Azure(ThreadingHTTPServer):
    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.blobs = {f"/wheels/{WHEEL}": tiny_wheel(), "/wheels/requirements.txt": REQUIREMENTS}
        self.refusals = 0
        self.asked: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Answers(BaseHTTPRequestHandler):
    server: Azure

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        self.server.asked.append(url.path)
        if url.path in self.server.blobs:
            self._blob(url.path)
        elif self._is_asked_rightly(url.path, parse_qs(url.query)):
            self._answer(200, b'{"access_token": "a-token", "expires_in": "3600"}')
        else:
            self._answer(400, b"{}")

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""

    def _blob(self, path: str) -> None:
        if self.server.refusals:
            self.server.refusals -= 1
            self._answer(403, b"")
        elif self.headers["Authorization"] == "Bearer a-token" and self.headers["x-ms-version"]:
            self._answer(200, self.server.blobs[path])
        else:
            self._answer(401, b"")

    def _is_asked_rightly(self, path: str, asked: dict[str, list[str]]) -> bool:
        if asked["resource"] != ["https://storage.azure.com/"]:
            return False
        is_metadata = path == "/metadata/identity/oauth2/token" and self.headers["Metadata"] == "true"
        is_container = path == "/container" and self.headers["X-IDENTITY-HEADER"] == "a-secret"
        is_ml = path == "/ml" and self.headers["secret"] == "a-secret"
        return asked.get("clientid" if is_ml else "client_id") == ["me"] and (is_metadata or is_container or is_ml)

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def azure() -> Iterator[Azure]:
    with Azure() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def settings(azure: Azure) -> dict[str, str]:
    return {
        "PATH": "/usr/bin:/bin",
        "AZURE_CLIENT_ID": "me",
        "AZURE_POD_IDENTITY_AUTHORITY_HOST": azure.url,
        "JOBQ_WHEELS": f"{azure.url}/wheels",
        "JOBQ_WHEEL": WHEEL,
        "JOBQ_WHEEL_SHA256": hashlib.sha256(azure.blobs[f"/wheels/{WHEEL}"]).hexdigest(),
        "JOBQ_REQUIREMENTS_SHA256": hashlib.sha256(REQUIREMENTS).hexdigest(),
    }


def run(env: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, SCRIPT, *arguments], env=env, capture_output=True, text=True, timeout=100)


def test_a_virtual_machine_installs_the_wheel_and_then_runs_what_it_is_told(azure: Azure, tmp_path: Path) -> None:
    folder = str(tmp_path / "jobq")

    first = run(settings(azure), folder, "tiny", "worker")
    asked = len(azure.asked)
    again = run(settings(azure), folder, "tiny", "once more")

    assert (first.returncode, first.stdout) == (0, "tiny worker\n"), first.stderr
    assert (again.returncode, again.stdout) == (0, "tiny once more\n"), again.stderr
    assert len(azure.asked) == asked


@pytest.mark.parametrize(
    "endpoint",
    [
        {"IDENTITY_ENDPOINT": "/container", "IDENTITY_HEADER": "a-secret"},
        {"MSI_ENDPOINT": "/ml", "MSI_SECRET": "a-secret"},
    ],
    ids=["Container Apps", "Azure ML"],
)
def test_each_kind_of_machine_asks_its_own_endpoint_for_a_token(
    azure: Azure, tmp_path: Path, endpoint: dict[str, str]
) -> None:
    env = settings(azure) | {name: value.replace("/", f"{azure.url}/") for name, value in endpoint.items()}
    env["JOBQ_WHEEL_SHA256"] = "0" * 64

    refused = run(env, str(tmp_path / "jobq"))

    assert refused.returncode == 1
    assert f"{WHEEL} has SHA-256 " in refused.stderr, "the wheel was read, with a token of that endpoint"


def test_what_has_another_hash_is_not_installed(azure: Azure, tmp_path: Path) -> None:
    env = settings(azure)
    azure.blobs["/wheels/requirements.txt"] = b"evil==1.0\n"

    refused = run(env, str(tmp_path / "jobq"), "tiny")

    assert refused.returncode == 1
    assert "requirements.txt has SHA-256" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert not (tmp_path / "jobq").exists()


def test_a_role_that_is_not_known_yet_is_waited_for(
    azure: Azure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = importlib.util.spec_from_file_location("install", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    install = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(install)
    naps: list[float] = []
    monkeypatch.setattr(install, "time", SimpleNamespace(sleep=naps.append, monotonic=time.monotonic))
    for name, value in settings(azure).items():
        monkeypatch.setenv(name, value)
    azure.refusals = 2

    wheel = install._download(tmp_path, WHEEL, settings(azure)["JOBQ_WHEEL_SHA256"])

    assert wheel.read_bytes() == tiny_wheel()
    assert naps == [10, 10]


def test_without_its_settings_it_says_which_one_is_missing(azure: Azure, tmp_path: Path) -> None:
    env = settings(azure)
    del env["JOBQ_WHEEL_SHA256"]

    refused = run(env, str(tmp_path / "jobq"))

    assert refused.returncode == 1
    assert refused.stderr == "JOBQ_WHEEL_SHA256 is not set: the deployment sets it\n"

"""Install jobq from the container that a deployment uploaded its wheel to, then run a command with it.

    python3 install.py FOLDER [COMMAND...]

By the machine's managed identity, and only what has the hashes that the deployment says: JOBQ_WHEELS (the container's
URL), JOBQ_WHEEL (the wheel's name), JOBQ_WHEEL_SHA256, JOBQ_REQUIREMENTS_SHA256 and AZURE_CLIENT_ID are in the
environment. FOLDER becomes a virtual environment; one that has this wheel already is left as it is. Needs nothing but
Python 3.11 with venv.
"""

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
import venv
from pathlib import Path

PATIENCE_SECONDS = 600
"""Roles take minutes to be known everywhere, and so may the upload."""
_PAUSE_SECONDS = 10
_WORTH_ANOTHER_TRY = frozenset({401, 403, 404, 408, 410, 429, 500, 502, 503, 504})


def main(arguments: list[str]) -> int:
    folder, command = Path(arguments[0]), arguments[1:]
    install(folder)
    if command:
        path = f"{folder / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
        os.execvpe(command[0], command, {**os.environ, "PATH": path})  # noqa: S606 - no shell is wanted
    return 0


def install(folder: Path) -> None:
    marker, wheel_hash, requirements_hash = folder / "installed", _hash("JOBQ_WHEEL"), _hash("JOBQ_REQUIREMENTS")
    said = f"{wheel_hash} {requirements_hash}\n"
    if marker.exists() and marker.read_text() == said:
        return
    with tempfile.TemporaryDirectory() as temporary:
        wheel = _download(Path(temporary), _setting("JOBQ_WHEEL"), wheel_hash)
        requirements = _download(Path(temporary), "requirements.txt", requirements_hash)
        venv.create(folder, clear=True, with_pip=True)
        _pip(folder, "--require-hashes", "--requirement", str(requirements))
        _pip(folder, "--no-deps", "--no-index", str(wheel))
    marker.write_text(said)
    _say(f"installed {wheel.name} in {folder}")


def _pip(folder: Path, *arguments: str) -> None:
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    if subprocess.run([*pip, *arguments], check=False).returncode:  # noqa: S603 - our own arguments
        raise SystemExit(f"jobq could not be installed: pip failed at {arguments[-1]}, and says why above")


def _download(folder: Path, name: str, expected: str) -> Path:
    url = f"{_setting('JOBQ_WHEELS').rstrip('/')}/{name}"
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            data = _fetch(url, {"Authorization": f"Bearer {_token()}", "x-ms-version": "2023-11-03"})
            break
        except urllib.error.HTTPError as error:
            why, is_final = f"HTTP {error.code}", error.code not in _WORTH_ANOTHER_TRY
        except OSError as error:
            why, is_final = str(error), False
        if is_final or time.monotonic() + _PAUSE_SECONDS > deadline:
            raise SystemExit(
                f"{name} could not be read ({why}): see that it is in {_setting('JOBQ_WHEELS')}, and that this "
                "machine's identity is Storage Blob Data Reader of that container"
            )
        _say(f"{name} cannot be read yet ({why}); trying again in {_PAUSE_SECONDS} s")
        time.sleep(_PAUSE_SECONDS)
    found = hashlib.sha256(data).hexdigest()
    if found != expected:
        raise SystemExit(
            f"{name} has SHA-256 {found}, and the deployment says {expected}: it is not installed. "
            "Upload the right file, or deploy again with its hash"
        )
    path = folder / name
    path.write_bytes(data)
    return path


def _token() -> str:
    """Of the managed identity, from Azure ML, from Container Apps, or from a virtual machine's metadata service."""
    asked, client = {"resource": "https://storage.azure.com/"}, os.environ.get("AZURE_CLIENT_ID", "")
    if url := os.environ.get("IDENTITY_ENDPOINT"):
        asked |= {"api-version": "2019-08-01"} | ({"client_id": client} if client else {})
        headers = {"X-IDENTITY-HEADER": os.environ.get("IDENTITY_HEADER", "")}
    elif url := os.environ.get("MSI_ENDPOINT"):
        client = client or os.environ.get("DEFAULT_IDENTITY_CLIENT_ID", "")
        asked |= {"api-version": "2017-09-01"} | ({"clientid": client} if client else {})
        headers = {"secret": os.environ.get("MSI_SECRET", "")}
    else:
        host = os.environ.get("AZURE_POD_IDENTITY_AUTHORITY_HOST", "http://169.254.169.254").rstrip("/")
        url = f"{host}/metadata/identity/oauth2/token"
        asked |= {"api-version": "2018-02-01"} | ({"client_id": client} if client else {})
        headers = {"Metadata": "true"}
    try:
        answer = json.loads(_fetch(f"{url}?{urllib.parse.urlencode(asked)}", headers))
    except OSError as error:
        raise OSError(f"the machine's identity gives no token: {error}") from error
    return str(answer["access_token"])


def _fetch(url: str, headers: dict[str, str]) -> bytes:
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 - the deployment says the URL
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - as above
        data: bytes = answer.read()
    return data


def _hash(of: str) -> str:
    text = _setting(f"{of}_SHA256").lower()
    if len(text) != 64 or not all(digit in "0123456789abcdef" for digit in text):
        raise SystemExit(f"{of}_SHA256 must be 64 hexadecimal digits, not {text!r}")
    return text


def _setting(name: str) -> str:
    if not (value := os.environ.get(name, "").strip()):
        raise SystemExit(f"{name} is not set: the deployment sets it")
    return value


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        raise SystemExit("usage: install.py FOLDER [COMMAND...]")
    sys.exit(main(sys.argv[1:]))

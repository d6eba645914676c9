#!/usr/bin/env python3
"""In place of the Azure CLI: notes each call in a file, keeps what it is to send, and fails as often as a test says.

FAKE_AZ is a folder. `answers.json` there says, by the beginning of a command, how its calls go one after the other, as
[exit code, standard output, standard error]; the last one goes on. A command that it does not name succeeds silently.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path


def main(folder: Path, arguments: list[str]) -> int:
    calls = folder / "calls.jsonl"
    earlier = [json.loads(line) for line in calls.read_text().splitlines()] if calls.exists() else []
    with calls.open("a") as file:
        file.write(json.dumps(arguments) + "\n")
    for option in ("--file", "--src"):
        if option in arguments:
            sent = Path(arguments[arguments.index(option) + 1])
            shutil.copy(sent, folder / sent.name)
    for command, answers in json.loads((folder / "answers.json").read_text()).items():
        words = command.split()
        if arguments[: len(words)] == words:
            before = sum(call[: len(words)] == words for call in earlier)
            code, said, complained = answers[min(before, len(answers) - 1)]
            sys.stdout.write(said)
            sys.stderr.write(complained)
            return int(code)
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(os.environ["FAKE_AZ"]), sys.argv[1:]))

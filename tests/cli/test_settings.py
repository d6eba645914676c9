from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from jobq.errors import BadInput
from jobq.settings import Settings, read_settings, worker_labels
from tests.cli.terminal import Terminal, leave_to_somebody_else

HERE, ABOVE, HOME, SYSTEM = ".jobq.toml in the folder", ".jobq.toml above", "~/.config", "/etc"
Read = Callable[..., Settings]


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    return {
        HERE: tmp_path / "above" / "here" / ".jobq.toml",
        ABOVE: tmp_path / "above" / ".jobq.toml",
        HOME: tmp_path / "someone" / ".config" / "jobq.toml",
        SYSTEM: tmp_path / "etc" / "jobq.toml",
    }


@pytest.fixture
def read(files: dict[str, Path], tmp_path: Path) -> Read:
    for file in files.values():
        file.parent.mkdir(parents=True, exist_ok=True)

    def read(queue: str = "", **environ: str) -> Settings:
        env = {"HOME": str(tmp_path / "someone"), **environ}
        return read_settings(env, queue=queue, folder=files[HERE].parent, system=files[SYSTEM])

    return read


def test_the_nearest_that_says_something_wins(read: Read, files: dict[str, Path]) -> None:
    for name, file in files.items():
        file.write_text(f'queue = "account/{len(name)}"')
    found = [read("given/queue", JOBQ="env/queue").queue, read(JOBQ="env/queue").queue]
    for file in files.values():
        found.append(read().queue)
        file.unlink()
    found.append(read().queue)
    expected = [f"account/{len(name)}" for name in files]
    assert found == ["given/queue", "env/queue", *expected, ""]


def test_each_value_is_looked_for_by_itself(read: Read, files: dict[str, Path]) -> None:
    files[HERE].write_text('queue = "account/exp7"')
    files[HOME].write_text('connection_string = "UseDevelopmentStorage=true"')
    settings = read()
    assert (settings.queue, settings.connection_string) == ("account/exp7", "UseDevelopmentStorage=true")


def test_a_key_goes_to_a_queue_that_was_given_by_hand(read: Read, files: dict[str, Path]) -> None:
    files[HOME].write_text('key = "k1"\nmanage_key = "k2"')
    settings = read(JOBQ="https://host/api/exp7")
    assert settings.key_for("status") == "k1"
    assert settings.key_for("manage") == "k2"


def test_a_key_is_not_sent_to_a_host_that_a_nearer_file_names(read: Read, files: dict[str, Path]) -> None:
    files[HOME].write_text('key = "k1"')
    files[HERE].write_text('queue = "https://elsewhere/api/exp7"')
    assert read().key_for("status") == ""
    assert read(JOBQ_KEY="k2").key_for("status") == "k2"


@pytest.mark.parametrize(
    ("environ", "queue"),
    [
        ({"RESTQ_CLIENT_URI": "http://host:8586/"}, "http://host:8586/api/default"),
        ({"RESTQ_CLIENT_URI": "http://host:8586", "RESTQ_CLI_REALM": "work"}, "http://host:8586/api/work"),
        ({"RESTQ_CLIENT_URI": "https://host/api", "RESTQ_CLI_REALM": "work"}, "https://host/api/work"),
        ({"RESTQ_CLIENT_URI": "https://host/api/exp7", "RESTQ_CLI_REALM": "work"}, "https://host/api/exp7"),
        ({"JOBQ": "https://host/api", "RESTQ_CLI_REALM": "work"}, "https://host/api/work"),
        ({"JOBQ": "https://host/api/api", "RESTQ_CLI_REALM": "work"}, "https://host/api/api"),
        ({"JOBQ": "https://host/api"}, "https://host/api"),
        ({"JOBQ": "account/exp7", "RESTQ_CLI_REALM": "work"}, "account/exp7"),
    ],
)
def test_a_url_that_names_no_realm_gets_the_one_of_restqs(environ: dict[str, str], queue: str, read: Read) -> None:
    assert read(**environ).queue == queue


@pytest.mark.parametrize("name", ["tables", "connection_string", "servicebus_connection_string"])
def test_a_file_of_the_folder_sends_the_jobs_of_no_other_queue_elsewhere(
    name: str, read: Read, files: dict[str, Path]
) -> None:
    files[HERE].write_text(f'{name} = "theirs"')
    files[HOME].write_text('queue = "account/exp7"')
    assert getattr(read(), name) == ""
    assert getattr(read(JOBQ="account/exp7"), name) == ""
    files[HERE].write_text(f'{name} = "theirs"\nqueue = "account/theirs"')
    assert getattr(read(), name) == "theirs"
    assert getattr(read(JOBQ="account/exp7"), name) == ""


@pytest.mark.parametrize(
    "line",
    [
        'queue = "x.elsewhere.example/exp7"',
        'queue = "x.core.windows.net.elsewhere.example/exp7"',
        'queue = "sb://x.elsewhere.example/exp7"',
        'tables = "x.elsewhere.example"',
    ],
)
def test_a_file_of_the_folder_has_no_login_sent_to_a_host_outside_of_azure(
    line: str, read: Read, files: dict[str, Path]
) -> None:
    files[HERE].write_text(line)
    with pytest.raises(BadInput, match="names a host outside of Azure's clouds"):
        read()
    files[HERE].rename(files[HOME])
    assert line.split('"')[1] in (read().queue, read().tables)


@pytest.mark.parametrize(
    "queue",
    ["mine/exp7", "mine.core.usgovcloudapi.net/exp7", "sb://b.servicebus.windows.net/exp7", "local:./q.d/exp7"],
)
def test_a_file_of_the_folder_names_the_queue(queue: str, read: Read, files: dict[str, Path]) -> None:
    files[HERE].write_text(f'queue = "{queue}"')
    assert read().queue == queue


@pytest.mark.parametrize(
    "environ",
    [
        {"JOBQ_STORAGE_QUEUE": "account/exp7"},
        {"JOBQ_STORAGE": "account", "JOBQ_QUEUE": "exp7"},
        {"RESTQ_CLIENT_URI": "account/exp7"},
    ],
)
def test_names_of_the_ancestors_are_read(environ: dict[str, str], read: Read) -> None:
    assert read(**environ).queue == "account/exp7"
    assert read(**environ, JOBQ="account/other").queue == "account/other"


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("queue = ", "Invalid value"),
        ('quue = "x"', "unknown key 'quue'; 'queue' is close"),
        ("queue = 7", "'queue' must be a text"),
        ("[key]", "'key' must be a text"),
    ],
)
def test_a_broken_file_is_named(text: str, hint: str, read: Read, files: dict[str, Path]) -> None:
    files[HERE].write_text(text)
    with pytest.raises(BadInput, match=hint) as caught:
        read()
    assert str(files[HERE]) in str(caught.value)


def test_a_file_that_somebody_else_left_is_passed_over(
    read: Read, files: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    files[HERE].write_text('queue = "account/theirs"')
    files[ABOVE].write_text('queue = "account/mine"')
    leave_to_somebody_else(files[HERE], monkeypatch)
    assert read().queue == "account/mine"


def test_tables_of_commands_are_none_of_the_settings(read: Read, files: dict[str, Path]) -> None:
    files[HERE].write_text('queue = "account/exp7"\n[push]\ntags = "a"')
    assert read().queue == "account/exp7"


def test_a_key_may_be_written_with_a_dash(read: Read, files: dict[str, Path]) -> None:
    files[HOME].write_text('manage-key = "k1"')
    assert read(JOBQ="https://host/api/exp7").key_for("manage") == "k1"


def test_a_connection_string_or_key_is_never_shown(read: Read) -> None:
    keys = {"JOBQ_KEY": "hidden1", "JOBQ_STATUS_KEY": "hidden2"}
    strings = {"JOBQ_CONNECTION_STRING": "hidden3", "JOBQ_SERVICEBUS_CONNECTION_STRING": "hidden4"}
    settings = read(**keys, **strings)
    assert settings.servicebus_connection_string == "hidden4"
    assert "hidden" not in repr(settings)


def test_where_the_rows_of_a_service_bus_realm_are(read: Read, files: dict[str, Path]) -> None:
    files[HERE].write_text('queue = "sb://mybus/exp7"\ntables = "mystorage"')
    settings = read()
    assert (settings.queue, settings.tables) == ("sb://mybus/exp7", "mystorage")
    assert read(JOBQ_TABLES="other").tables == "other"


def test_the_command_line_uses_the_file_of_the_folder(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JOBQ")
    Path(".jobq.toml").write_text('queue = "local:./from/file"')
    assert "to local:./from/file" in terminal("push", "-c", "true").err
    assert "to local:./from/first" in terminal("local:./from/first", "push", "-c", "true").err


def test_environment_of_a_worker_is_a_label_of_its() -> None:
    assert worker_labels({"JOBQ_ENVIRONMENT_NAME": " spot-eu "}) == {"environment": "spot-eu"}
    assert worker_labels({}) == {}

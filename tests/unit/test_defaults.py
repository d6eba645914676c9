"""What a value in a configuration file means to an option."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import click
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobq.cli import params
from jobq.cli.defaults import checked, defaults_of, layers_of
from jobq.errors import BadInput
from jobq.settings_files import ConfigFile

YES, NO = ("1", "yes", "Yes", " on ", "true", "TRUE", "y"), ("0", "no", "off", " OFF", "false", "n")


@click.command("try")
@params.option("-n", "--slots", type=click.IntRange(1), default=1)
@params.option("--forever", is_flag=True)
@params.option("--idle-timeout", type=params.DURATION)
@params.option("--timeout", type=params.POSITIVE)
@params.option("--tags", multiple=True, type=params.TAGS)
@params.option("--tag", multiple=True, type=params.TAG)
@params.option("--lane", multiple=True, type=params.LANE)
@params.option("--realms", type=params.TAGS)
@params.option("-o", "--output", type=click.Choice(["table", "json"]))
def command(**_given: Any) -> None:
    """For these tests."""


def option(name: str) -> click.Option:
    found = next(its for its in command.params if its.name == name)
    assert isinstance(found, click.Option)
    return found


def value_of(name: str, value: Any) -> Any:
    """What the command gets when a file says `value`."""
    default = {name: checked(option(name), value)}
    return command.make_context("try", [], default_map=default).params[name]


def file(path: str = "/there/.jobq.toml", *, is_nearby: bool = False, **table: Any) -> ConfigFile:
    return ConfigFile(Path(path), is_nearby=is_nearby, tables={"try": table})


@pytest.mark.parametrize("word", YES)
def test_words_for_yes_are_understood_in_files_and_variables(word: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert value_of("forever", word) is True
    monkeypatch.setenv("TRY_FOREVER", word)
    assert command.make_context("try", [], auto_envvar_prefix="TRY").params["forever"] is True


@pytest.mark.parametrize("word", NO)
def test_words_for_no_are_understood_in_files_and_variables(word: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert value_of("forever", word) is False
    monkeypatch.setenv("TRY_FOREVER", word)
    default = {"forever": "yes"}
    ctx = command.make_context("try", [], auto_envvar_prefix="TRY", default_map=default)
    assert ctx.params["forever"] is False


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("output", " json ", "json"),
        ("slots", " 4", 4),
        ("timeout", "10m ", timedelta(minutes=10)),
        ("tags", " a, b ", (("a", "b"),)),
        ("lane", "3 , night", ("3", "night")),
        ("output", " ", None),
    ],
)
def test_spaces_around_the_value_of_a_variable_say_nothing(
    name: str, text: str, expected: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"TRY_{name.upper()}", text)
    assert command.make_context("try", [], auto_envvar_prefix="TRY").params[name] == expected


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("forever", True, True),
        ("forever", False, False),
        ("forever", 1, True),
        ("slots", 4, 4),
        ("slots", " 4 ", 4),
        ("timeout", "1h30m", timedelta(minutes=90)),
        ("timeout", 90, timedelta(seconds=90)),
        ("timeout", 1.5, timedelta(seconds=1.5)),
        ("tags", "a, b", (("a", "b"),)),
        ("tags", ["a", "b"], (("a",), ("b",))),
        ("tags", [], ()),
        ("tag", "house work", ("house work",)),
        ("tag", ["house work", "a, b"], ("house work", "a, b")),
        ("lane", 3, ("3",)),
        ("lane", "3, night", ("3", "night")),
        ("lane", [3, "night"], ("3", "night")),
        ("realms", ["one", "two"], ("one", "two")),
        ("output", " json ", "json"),
    ],
)
def test_values_are_read_as_people_write_them(name: str, value: Any, expected: Any) -> None:
    assert value_of(name, value) == expected


@settings(max_examples=30)
@given(st.integers(1, 10**6), st.sampled_from(["", " ", "\t"]))
def test_a_number_and_its_text_are_the_same(number: int, space: str) -> None:
    assert value_of("slots", number) == value_of("slots", f"{space}{number}{space}") == number


@settings(max_examples=30)
@given(st.lists(st.text("abc xyz-", min_size=1, max_size=9).filter(lambda text: text == text.strip()), max_size=5))
def test_a_list_and_its_text_are_the_same(tags: list[str]) -> None:
    listed = [tag for part in value_of("tags", tags) for tag in part]
    written = [tag for part in value_of("tags", " , ".join(tags)) for tag in part]
    assert listed == written == tags


@settings(max_examples=30)
@given(st.integers(0, 300), st.integers(0, 59), st.integers(0, 59))
def test_a_duration_means_in_a_file_what_it_means_on_the_command_line(hours: int, minutes: int, seconds: int) -> None:
    text = f"{hours}h{minutes}m{seconds}s"
    given_ = command.make_context("try", ["--idle-timeout", text]).params["idle_timeout"]
    assert value_of("idle_timeout", text) == given_ == timedelta(hours=hours, minutes=minutes, seconds=seconds)


@pytest.mark.parametrize(
    ("name", "value", "hint"),
    [
        ("forever", "maybe", "not a valid boolean"),
        ("forever", 2, "not a valid boolean"),
        ("forever", [True], "one value, not a list"),
        ("slots", True, "is no flag"),
        ("slots", 0, "not in the range"),
        ("slots", [1, 2], "one value, not a list"),
        ("timeout", "1 hour", "is not a duration"),
        ("timeout", "", "is not a duration"),
        ("tags", {"a": 1}, "takes a text, a number"),
        ("tags", [["a"]], "takes a text, a number"),
        ("output", "xml", "is not one of"),
    ],
)
def test_what_an_option_does_not_take_is_refused(name: str, value: Any, hint: str) -> None:
    with pytest.raises(BadInput, match=hint):
        checked(option(name), value)


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        ({"slot": 4}, r"/there/.jobq.toml: \[try\] unknown key 'slot'; 'slots' is close"),
        ({"zzz": 4}, r"\[try\] unknown key 'zzz'; known are slots, n, forever, idle-timeout"),
        ({"slots": 4, "n": 4}, r"\[try\] slots and n are the same option"),
        ({"slots": "many"}, r"/there/.jobq.toml: \[try\] slots: 'many' is not a valid integer"),
    ],
)
def test_a_mistake_is_named_with_file_table_and_key(table: dict[str, Any], problem: str) -> None:
    with pytest.raises(BadInput, match=problem):
        defaults_of(click.Context(command), "try", command, [file(**table)], ["try"])


def test_nearer_files_win_key_by_key() -> None:
    files = [file("/a", slots=4, lane=1), file("/b", slots=5, forever="yes")]
    found = defaults_of(click.Context(command), "try", command, files, ["try"])
    assert found == {"slots": "4", "lane": ["1"], "forever": "yes"}


def test_names_are_written_with_either_dash_or_in_short() -> None:
    files = [file(**{"idle-timeout": "1m"}, n=2, o="json"), file(idle_timeout="2m")]
    found = defaults_of(click.Context(command), "try", command, files, ["try"])
    assert found == {"idle_timeout": "1m", "slots": "2", "output": "json"}


def test_of_options_that_exclude_each_other_the_nearest_files_holds() -> None:
    files = [file("/a", forever=True), file("/b", **{"idle-timeout": "1m"})]
    assert defaults_of(click.Context(command), "try", command, files, ["try"]) == {"forever": "yes"}
    assert [one.unused for one in layers_of(command, ["try"], files).found["idle_timeout"]] != [""]


def test_a_file_that_came_with_the_folder_sets_only_what_is_harmless() -> None:
    harmless = [file(is_nearby=True, output="json")]
    assert defaults_of(click.Context(command), "try", command, harmless, ["try"]) == {"output": "json"}
    with pytest.raises(BadInput, match=r"\[try\] slots is not taken from a file that may have come with the folder"):
        defaults_of(click.Context(command), "try", command, [file(is_nearby=True, slots=4)], ["try"])

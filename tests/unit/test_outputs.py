"""Where outputs are to go, as a push may say it, and how it travels with the job."""

from __future__ import annotations

import pytest

from jobq.core.ports import Row
from jobq.core.rows import job_of, values_of
from jobq.errors import BadInput
from jobq.model.job import Job, Spec
from jobq.model.outputs import BlobPlace, blob_place, output_target, target_of
from jobq.model.wire import spec_from_json, spec_to_json


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("/mnt/out", None),
        ("out/exp7", None),
        ("az://results", BlobPlace("", "results", "")),
        ("az://results/exp 7/a/", BlobPlace("", "results", "exp 7/a")),
        ("https://acct.blob.core.windows.net/results/exp%207", BlobPlace("acct", "results", "exp 7")),
        (
            "https://acct.blob.core.usgovcloudapi.net/results",
            BlobPlace("acct.core.usgovcloudapi.net", "results", ""),
        ),
    ],
)
def test_places_that_can_be_meant(text: str, place: BlobPlace | None) -> None:
    assert output_target(text) == text
    assert blob_place(text) == place


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "a path or"),
        ("  ", "a path or"),
        ("a\0b", "a path or"),
        ("x" * 1001, "a path or"),
        (7, "a path or"),
        ("az://", "names no container"),
        ("az://Results/x", "names no container"),
        ("az://a--b/x", "names no container"),
        ("az://results/../x", "no prefix"),
        ("az://results/a//b", "no prefix"),
        ("http://acct.blob.core.windows.net/results", "a login is used"),
        ("https://example.com/results", "a login is used"),
        ("https://acct.blob.core.windows.net/results?sig=secret", "a login is used"),
        ("https://me:pw@acct.blob.core.windows.net/results", "a login is used"),
    ],
)
def test_places_that_are_none(text: object, why: str) -> None:
    with pytest.raises(BadInput, match=why) as caught:
        output_target(text)

    assert "secret" not in str(caught.value)


def test_names_of_the_job_are_parts_of_a_path() -> None:
    def target(job_id: str) -> str:
        return target_of(Job(job_id, "b/1", Spec(command="x", outputs="out/{batch}/{job_id}")))

    assert target("b-1") == "out/b!2f1/b-1"
    assert target("../x") == "out/b!2f1/..!2fx"
    assert target("..") == "out/b!2f1/!2e!2e"


def test_target_travels_with_the_job_in_json_and_in_its_row() -> None:
    spec = Spec(command="x", outputs="az://results/{job_id}")
    job = Job("b-1", "b", spec)

    assert spec_from_json(spec_to_json(spec)) == spec
    assert job_of(Row("k", "e", values_of(job))).spec == spec
    assert "bg_dirsync_to" not in spec_to_json(Spec(command="x"))

"""Templates are worked out as a deployment would."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.infra.bicep.deployment import BadTemplate, Deployment
from tests.infra.bicep.resources import deploy
from tests.infra.bicep.symbols import problems_of
from tests.infra.bicep.syntax import parse

GROUP = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-jobq"


def worked_out(tmp_path: Path, text: str, **parameters: Any) -> Deployment:
    main = tmp_path / "main.bicep"
    main.write_text(text, encoding="utf-8")
    return deploy(main, parameters)


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("'a${1 + 2}b'", "a3b"),
        (r"'it\'s \${x}\n'", "it's ${x}\n"),
        ("'''\nas it is: ${x}'''", "as it is: ${x}"),
        ("true && !false ? 'yes' : 'no'", "yes"),
        ("null ?? 'other'", "other"),
        ("[for (one, i) in ['a', 'b']: '${one}${i}']", ["a0", "b1"]),
        ("map(filter([1, 2, 3], n => n > 1), n => n * 2)", [4, 6]),
        ("reduce([1, 2, 3], 0, (sum, n) => sum + n)", 6),
        ("union({ a: { b: 1 } }, { a: { c: 2 } })", {"a": {"b": 1, "c": 2}}),
        ("[resourceGroup().id]", [GROUP]),
        ("items({ b: 1, a: 2 })[0].key", "a"),
        ("{ a: 1 }.?b ?? 'none'", "none"),
        ("base64(take(toUpper('abcd'), 3))", "QUJD"),
    ],
)
def test_expression_gives_its_value(tmp_path: Path, expression: str, value: Any) -> None:
    assert worked_out(tmp_path, f"output x object = {expression}\n").outputs["x"] == value


RESOURCES = """
param isThere bool
resource account 'Microsoft.Storage/storageAccounts@2025-01-01' = {
  name: 'one'
  properties: { a: null, b: 1 }
  resource blobs 'blobServices' = { name: 'default' }
}
resource boxes 'Microsoft.Storage/storageAccounts/blobServices/containers@2025-01-01' = [for name in ['a', 'b']: {
  parent: account::blobs
  name: name
}]
resource lock 'Microsoft.Authorization/locks@2020-05-01' = if (isThere) {
  scope: account
  name: 'lock'
}
output last string = boxes[1].id
output later string = account.properties.primaryEndpoints.blob
"""


def test_resources_have_their_names_ids_and_scopes(tmp_path: Path) -> None:
    plan = worked_out(tmp_path, RESOURCES, isThere=True)

    account = f"{GROUP}/providers/Microsoft.Storage/storageAccounts/one"
    assert [made.name for made in plan.resources] == ["one", "one/default", "one/default/a", "one/default/b", "lock"]
    assert plan.outputs["last"] == f"{account}/blobServices/default/containers/b"
    assert plan.outputs["later"] == f"<{account}>.properties.primaryEndpoints.blob"
    assert plan.resources[0].properties == {"b": 1}
    assert plan.resources[-1].scope == account


def test_resource_whose_condition_does_not_hold_is_not_made(tmp_path: Path) -> None:
    plan = worked_out(tmp_path, RESOURCES, isThere=False)

    assert "lock" not in [made.name for made in plan.resources]


@pytest.mark.parametrize(
    ("text", "parameters", "why"),
    [
        ("param x string\n", {}, "x is not given"),
        ("param x string = 'a'\n", {"y": 1}, "has no parameter y"),
        ("@minLength(3)\nparam x string\n", {"x": "ab"}, "x does not allow 'ab'"),
        ("@allowed([1, 2])\nparam x int\n", {"x": 3}, "x does not allow 3"),
        ("var a = b\nvar b = a\noutput x string = a\n", {}, "depends on itself"),
        ("output x string = c\n", {}, "c is not declared"),
        ("output x string = {\n", {}, "does not parse"),
        ("module m 'br/public:avm/res/x:1.0' = {\n  name: 'm'\n}\n", {}, "is no file of this folder"),
    ],
)
def test_template_that_cannot_be_deployed_says_why(
    tmp_path: Path, text: str, parameters: dict[str, Any], why: str
) -> None:
    with pytest.raises(BadTemplate, match=why):
        worked_out(tmp_path, text, **parameters)


def test_names_of_loops_and_lambdas_are_seen_where_they_belong(tmp_path: Path) -> None:
    path = tmp_path / "main.bicep"
    path.write_text(
        "output x array = [for one in [1]: map([one], n => n + one)]\noutput y int = one\n", encoding="utf-8"
    )

    assert problems_of(parse(path)) == ["main.bicep:2: one is not declared"]

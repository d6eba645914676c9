"""Rules about the files: that they parse, fit together, and say what they must."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from tests.infra.bicep.deployment import Deployment
from tests.infra.bicep.symbols import problems_of
from tests.infra.bicep.syntax import parse, source, walk
from tests.infra.rules.book import Infra, rule, rule_of_each_deployment

VERSIONS = {
    "Microsoft.App": "2025-01-01",
    "Microsoft.Authorization": "2022-04-01",
    "Microsoft.Compute": "2024-11-01",
    "Microsoft.Insights/components": "2020-02-02",
    "Microsoft.Insights/diagnosticSettings": "2021-05-01-preview",
    "Microsoft.ManagedIdentity": "2024-11-30",
    "Microsoft.Network": "2024-07-01",
    "Microsoft.OperationalInsights": "2025-02-01",
    "Microsoft.ServiceBus": "2024-01-01",
    "Microsoft.Storage": "2025-01-01",
    "Microsoft.Web": "2024-11-01",
}
"""The api-versions in use, one for each provider or type: those whose types the checks know."""

OUTPUTS = {
    "JOBQ",
    "JOBQ_TABLES",
    "JOBQ_API_URL",
    "JOBQ_STORAGE",
    "JOBQ_SERVICEBUS",
    "JOBQ_WORKER_CLIENT_ID",
    "JOBQ_WHEEL_CONTAINER",
    "AZURE_RESOURCE_GROUP",
    "AZURE_FUNCTION_NAME",
    "JOBQ_SCALE_SET",
    "JOBQ_CONTAINER_JOB",
    "APPLICATIONINSIGHTS_NAME",
}
_FILES = {
    "main",
    "storage",
    "servicebus",
    "monitoring",
    "api",
    "rbac",
    "rbac-servicebus",
    "workers-vmss",
    "workers-acajob",
}


@rule
def every_file_parses_and_every_name_is_declared_and_used(infra: Infra) -> Iterator[str]:
    found = {template.path.stem for template in infra.templates}
    if found != _FILES:
        yield f"the files are {sorted(found)} where {sorted(_FILES)} are checked"
    for template in infra.templates:
        yield from problems_of(template)


@rule
def every_deployment_can_be_worked_out(infra: Infra) -> Iterator[str]:
    yield from infra.broken


@rule
def every_resource_is_made_by_some_deployment(infra: Infra) -> Iterator[str]:
    made = {where for plan in infra.plans.values() for where in plan.declared}
    for template in infra.templates:
        for one in (*template.of_kind("resource"), *template.of_kind("module")):
            where = f"{template.path.name}:{one.line}"
            if not one.is_existing and where not in made and not infra.broken:
                yield f"{where}: {one.name} is made by none of the deployments that are checked"


@rule
def api_versions_are_those_that_are_checked(infra: Infra) -> Iterator[str]:
    for template in infra.templates:
        for one in template.of_kind("resource"):
            type, _, version = one.declared.partition("@")
            expected = VERSIONS.get("/".join(type.split("/")[:2]), VERSIONS.get(type.partition("/")[0]))
            if version != expected:
                yield f"{template.path.name}:{one.line}: {type} is of {version!r}, checked are {expected!r}"


@rule
def parameter_files_name_only_parameters_and_all_that_are_required(infra: Infra) -> Iterator[str]:
    main = parse(infra.folder / "main.bicep")
    known = {one.name: len(one.parts) > 1 or one.declared.endswith("?") for one in main.of_kind("param")}
    plain = parse(infra.folder / "main.bicepparam")
    yield from plain.problems
    files = {
        "main.bicepparam": {one.name for one in plain.of_kind("var")},
        "main.parameters.json": set(json.loads(infra.text("main.parameters.json"))["parameters"]),
    }
    for file, given in files.items():
        yield from (f"{file}: there is no parameter {name}" for name in sorted(given - set(known)))
        missing = {name for name, is_optional in known.items() if not is_optional} - given
        yield from (f"{file}: misses {name}" for name in sorted(missing))


@rule_of_each_deployment
def outputs_are_those_that_are_promised_and_none_is_secret(plan: Deployment) -> Iterator[str]:
    if set(plan.outputs) != OUTPUTS:
        yield f"main.bicep: the outputs differ in {sorted(set(plan.outputs) ^ OUTPUTS)}"
    for name, value in plan.outputs.items():
        if not isinstance(value, str) or re.search(r"(?i)connectionString|key", value):
            yield f"main.bicep: {name} is {value!r}"
    bus, data = plan.outputs.get("JOBQ_SERVICEBUS"), plan.outputs.get("JOBQ_STORAGE")
    if plan.outputs.get("JOBQ") != (f"sb://{bus}/default" if bus else f"{data}/default"):
        yield "main.bicep: JOBQ is not the address of the first realm"
    if plan.outputs.get("JOBQ_TABLES") != data:
        yield "main.bicep: JOBQ_TABLES is not the account of the jobs"
    if not str(plan.outputs.get("JOBQ_API_URL")).endswith("/api"):
        yield "main.bicep: JOBQ_API_URL is not the control plane's"


@rule
def no_file_fetches_modules_or_runs_scripts_in_azure(infra: Infra) -> Iterator[str]:
    for template in infra.templates:
        for node in walk(template.root):
            if node.type == "string" and re.match(r"'(br|ts)[:/]|'Microsoft.Resources/deploymentScripts", source(node)):
                yield f"{template.where(node)}: {source(node)}"


_README = {
    "how to deploy": "az deployment group create",
    "what it would change": "what-if",
    "how to delete": "az group delete",
    "the deployer's roles": "Role Based Access Control Administrator",
    "provider registrations": "az provider register",
    "the wait for roles": r"minute|60 s|seconds",
    "what was never run": "never",
    "dated costs": r"(January|February|March|April|May|June|July|August|September|October|November|December) 20\d\d",
    "whether there is a snapshot": "snapshot",
    "dollars": r"\$|USD",
}


@rule
def the_readme_says_what_a_deployer_must_know(infra: Infra) -> Iterator[str]:
    text = infra.text("README.md")
    yield from (f"README.md: does not say {what}" for what, words in _README.items() if not re.search(words, text))
    for provider in sorted({name.partition("/")[0] for name in VERSIONS} - {"Microsoft.Authorization"}):
        if provider not in text:
            yield f"README.md: does not say that {provider} is registered"

"""Rules about the function app."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from tests.infra.bicep.deployment import Deployment, Made
from tests.infra.rules.book import rule_of_each_deployment, unlike
from tests.infra.rules.data import host_account

ROOT = Path(__file__).resolve().parents[3]
APP = "Microsoft.Web/sites"
_HOST = {"AzureWebJobsStorage__credential", "AzureWebJobsStorage__clientId", "AzureWebJobsDisableHomepage"}
_HOST_URIS = {f"AzureWebJobsStorage__{kind}ServiceUri" for kind in ("blob", "queue", "table")}
SCALE = {f"JOBQ_SCALE_{name}" for name in ("SET", "CLIENT_ID", "REALMS", "MIN", "MAX", "JOBS_PER_INSTANCE", "COOLDOWN")}
"""What the timer that scales a scale set reads."""

_ALLOWED = {
    "APPLICATIONINSIGHTS_CONNECTION_STRING",
    "APPLICATIONINSIGHTS_AUTHENTICATION_STRING",
    "AZURE_CLIENT_ID",
    "FUNCTIONS_REQUEST_BODY_SIZE_LIMIT",
    *_HOST,
    *_HOST_URIS,
}
"""What is not jobq's. Flex refuses FUNCTIONS_WORKER_RUNTIME, WEBSITE_* and what else older plans took."""


@cache
def read_by_the_code() -> frozenset[str]:
    """The variables that are named in the control plane's code."""
    texts = (
        path.read_text(encoding="utf-8") for path in (*ROOT.glob("client/**/*.py"), *ROOT.glob("jobq_service/*.py"))
    )
    return frozenset(name for text in texts for name in re.findall(r"\bJOBQ_[A-Z_]+\b", text)) | {"JOBQ_TABLES"}


def settings(plan: Deployment, app: Made) -> dict[str, str]:
    """The app settings, wherever they are set."""
    found = {one["name"]: one["value"] for one in app.at("properties.siteConfig.appSettings") or []}
    for config in plan.within(app, f"{APP}/config"):
        found |= config.properties if config.last_name == "appsettings" else {}
    return found


@rule_of_each_deployment
def the_app_runs_on_flex_consumption_as_an_identity_over_tls_alone(plan: Deployment) -> Iterator[str]:
    apps = [*plan.of_type(APP)]
    if len(apps) != 1:
        yield f"there are {len(apps)} function apps"
    expected = {
        "kind": "functionapp,linux",
        "identity.type": "UserAssigned",
        "properties.httpsOnly": True,
        "properties.siteConfig.minTlsVersion": "1.2",
        "properties.siteConfig.scmMinTlsVersion": "1.2",
        "properties.siteConfig.ftpsState": "Disabled",
        "properties.functionAppConfig.runtime.name": "python",
        "properties.functionAppConfig.deployment.storage.type": "blobContainer",
        "properties.functionAppConfig.deployment.storage.authentication.type": "UserAssignedIdentity",
    }
    for app in apps:
        yield from unlike(app.where, app.at, expected)
        plans = {one.id: one for one in plan.of_type("Microsoft.Web/serverfarms")}
        farm = plans.get(app.at("properties.serverFarmId"))
        if farm is None or farm.at("sku.name") != "FC1" or farm.at("properties.reserved") is not True:
            yield f"{app.where}: its plan is not Flex Consumption on Linux"
        refused = {
            one.last_name
            for one in plan.within(app, f"{APP}/basicPublishingCredentialsPolicies")
            if one.at("properties.allow") is False
        }
        if refused != {"ftp", "scm"}:
            yield f"{app.where}: passwords to publish with are refused for {sorted(refused)} only"


@rule_of_each_deployment
def the_app_scales_within_what_flex_allows(plan: Deployment) -> Iterator[str]:
    for app in plan.of_type(APP):
        scale = app.at("properties.functionAppConfig.scaleAndConcurrency") or {}
        if scale.get("instanceMemoryMB") not in (512, 2048, 4096):
            yield f"{app.where}: instanceMemoryMB is {scale.get('instanceMemoryMB')!r}"
        if not 40 <= scale.get("maximumInstanceCount", 0) <= 1000:
            yield f"{app.where}: maximumInstanceCount is not from 40 to 1000"
        if (
            not (app.at("properties.functionAppConfig.scaleAndConcurrency.triggers.http.perInstanceConcurrency") or 0)
            > 1
        ):
            yield f"{app.where}: perInstanceConcurrency is not set, so an instance answers one request at a time"
        if app.at("properties.functionAppConfig.runtime.version") not in ("3.11", "3.12", "3.13"):
            yield f"{app.where}: jobq does not run on this Python"


@rule_of_each_deployment
def the_package_is_in_a_container_that_the_deployment_makes(plan: Deployment) -> Iterator[str]:
    for app in plan.of_type(APP):
        host, value = host_account(plan), str(app.at("properties.functionAppConfig.deployment.storage.value"))
        names = (
            []
            if host is None
            else [
                made.last_name
                for made in plan.within(host, "Microsoft.Storage/storageAccounts/blobServices/containers")
            ]
        )
        if not any(value == f"<{host.id}>.properties.primaryEndpoints.blob{name}" for name in names if host):
            yield f"{app.where}: {value} is no container of this deployment"
        identity = app.at(
            "properties.functionAppConfig.deployment.storage.authentication.userAssignedIdentityResourceId"
        )
        if identity not in (app.at("identity.userAssignedIdentities") or {}):
            yield f"{app.where}: does not fetch its package as its own identity"


@rule_of_each_deployment
def app_settings_are_those_that_the_code_and_flex_take(plan: Deployment) -> Iterator[str]:
    for app in plan.of_type(APP):
        found = settings(plan, app)
        unknown = set(found) - _ALLOWED - read_by_the_code()
        yield from (f"{app.where}: the setting {name} is read by nobody" for name in sorted(unknown))
        needed = {*_HOST, "AzureWebJobsStorage__blobServiceUri", "AZURE_CLIENT_ID", "JOBQ_STORAGE"}
        yield from (f"{app.where}: misses the setting {name}" for name in sorted(needed - set(found)))
        if found.get("AzureWebJobsStorage__credential") != "managedidentity":
            yield f"{app.where}: the host does not log in as an identity"
        if not str(found.get("APPLICATIONINSIGHTS_AUTHENTICATION_STRING", "")).endswith(";Authorization=AAD"):
            yield f"{app.where}: telemetry is not sent as an identity"
        if plan.outputs.get("JOBQ_SERVICEBUS", "") != found.get("JOBQ_SERVICEBUS", ""):
            yield f"{app.where}: JOBQ_SERVICEBUS is not the namespace of the outputs"
        yield from (f"{app.where}: {name} is no text" for name, value in found.items() if not isinstance(value, str))

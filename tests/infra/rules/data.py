"""Rules about what keeps data: accounts, Service Bus, logs, and the names in them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from jobq.core.erase import BLOBS
from jobq.model.names import queue_name
from tests.infra.bicep.deployment import Deployment, Made
from tests.infra.rules.book import LANES, REALMS, rule_of_each_deployment, unlike

ACCOUNT = "Microsoft.Storage/storageAccounts"
BUS = "Microsoft.ServiceBus/namespaces"
DIAGNOSTICS = "Microsoft.Insights/diagnosticSettings"
CODE_TABLES, CODE_CONTAINERS = {"jobq"}, {"jobq", "wheels"}


def host_account(plan: Deployment) -> Made | None:
    """The account that the app's package is in."""
    for app in plan.of_type("Microsoft.Web/sites"):
        value = str(app.at("properties.functionAppConfig.deployment.storage.value"))
        return next((one for one in plan.of_type(ACCOUNT) if f"<{one.id}>" in value), None)
    return None


def data_account(plan: Deployment) -> Made | None:
    return next((one for one in plan.of_type(ACCOUNT) if one.name == plan.outputs.get("JOBQ_STORAGE")), None)


def queues(plan: Deployment) -> set[str]:
    kinds = (f"{ACCOUNT}/queueServices/queues", f"{BUS}/queues")
    return {made.last_name for made in plan.of_type(*kinds)}


@rule_of_each_deployment
def storage_accounts_take_no_keys_no_strangers_and_no_plain_http(plan: Deployment) -> Iterator[str]:
    expected = {
        "allowSharedKeyAccess": False,
        "defaultToOAuthAuthentication": True,
        "allowBlobPublicAccess": False,
        "supportsHttpsTrafficOnly": True,
        "minimumTlsVersion": "TLS1_2",
        "allowCrossTenantReplication": False,
    }
    for account in plan.of_type(ACCOUNT):
        yield from unlike(account.where, account.properties.get, expected)
    for container in plan.of_type(f"{ACCOUNT}/blobServices/containers"):
        yield from unlike(container.where, container.properties.get, {"publicAccess": "None"})


@rule_of_each_deployment
def the_code_of_the_control_plane_is_in_another_account_than_the_jobs(plan: Deployment) -> Iterator[str]:
    host, data = host_account(plan), data_account(plan)
    if host is None or data is None or host is data:
        yield "the host's account and that of the jobs are not two accounts of this deployment"


@rule_of_each_deployment
def service_bus_takes_no_keys_and_keeps_tickets(plan: Deployment) -> Iterator[str]:
    for bus in plan.of_type(BUS):
        yield from unlike(
            bus.where, bus.at, {"properties.disableLocalAuth": True, "properties.minimumTlsVersion": "1.2"}
        )
        if bus.at("sku.name") == "Basic":
            yield f"{bus.where}: in Basic a ticket expires"
    for queue in plan.of_type(f"{BUS}/queues"):
        # As jobq tells whose queue is made otherwise: adapters/service_bus_errors.py, docs/backends.md.
        expected = {"lockDuration": "PT5M", "maxDeliveryCount": 1000, "deadLetteringOnMessageExpiration": True}
        never = {"requiresSession": True, "requiresDuplicateDetection": True, "enablePartitioning": True}
        yield from unlike(queue.where, queue.properties.get, expected)
        yield from (f"{queue.where}: {name} must not be" for name in never if queue.properties.get(name))
        if "defaultMessageTimeToLive" in queue.properties:
            yield f"{queue.where}: a ticket must not expire"


@rule_of_each_deployment
def queues_tables_and_containers_are_called_as_in_the_code(plan: Deployment) -> Iterator[str]:
    is_many = plan.outputs.get("AZURE_RESOURCE_GROUP") and len(queues(plan)) > 1
    expected = {queue_name(realm, lane) for realm in REALMS for lane in LANES} if is_many else {"default"}
    if queues(plan) != expected:
        yield f"the queues are {sorted(queues(plan))} where the code has {sorted(expected)}"
    data = data_account(plan)
    if data is None:
        return
    tables = {made.last_name for made in plan.within(data, f"{ACCOUNT}/tableServices/tables")}
    containers = {made.last_name for made in plan.within(data, f"{ACCOUNT}/blobServices/containers")}
    if tables != CODE_TABLES or containers != CODE_CONTAINERS:
        yield f"{data.where}: tables {sorted(tables)} and containers {sorted(containers)} are not the code's"
    host = host_account(plan)
    if host is not None and any(host.id in made.id for made in plan.of_type(f"{ACCOUNT}/queueServices/queues")):
        yield f"{host.where}: no queue of jobs belongs into the host's account"


@rule_of_each_deployment
def old_blobs_of_jobs_are_deleted(plan: Deployment) -> Iterator[str]:
    data = data_account(plan)
    policies = [] if data is None else [*plan.within(data, f"{ACCOUNT}/managementPolicies")]
    rules = [one for policy in policies for one in policy.at("properties.policy.rules") or [] if one.get("enabled")]
    if not rules:
        yield "no lifecycle rule deletes old blobs of the jobs' account"
    for one in rules:
        prefixes = set(one["definition"]["filters"].get("prefixMatch", []))
        if not prefixes or not prefixes <= {f"jobq/{kind}/" for kind in BLOBS}:
            yield f"{policies[0].where}: {sorted(prefixes)} are not what the code calls its blobs"
        if "delete" not in one["definition"]["actions"].get("baseBlob", {}):
            yield f"{policies[0].where}: the rule deletes nothing"


@rule_of_each_deployment
def logs_have_an_end_a_cap_and_no_key(plan: Deployment) -> Iterator[str]:
    workspaces = [*plan.of_type("Microsoft.OperationalInsights/workspaces")]
    for workspace in workspaces:
        if not workspace.at("properties.retentionInDays") or not workspace.at(
            "properties.workspaceCapping.dailyQuotaGb"
        ):
            yield f"{workspace.where}: has no retention or no daily cap"
        if workspace.at("properties.features.disableLocalAuth") is not True:
            yield f"{workspace.where}: takes keys"
    for component in plan.of_type("Microsoft.Insights/components"):
        yield from unlike(component.where, component.at, {"properties.DisableLocalAuth": True})
        if component.at("properties.WorkspaceResourceId") not in {one.id for one in workspaces}:
            yield f"{component.where}: is not based on a workspace of this deployment"
    if not workspaces:
        yield "there is no workspace"


@rule_of_each_deployment
def what_keeps_data_says_what_happens_in_it(plan: Deployment) -> Iterator[str]:
    watched = {made.scope for made in plan.of_type(DIAGNOSTICS)}
    services = [f"{ACCOUNT}/{name}Services" for name in ("queue", "table", "blob")]
    yield from (f"{made.where}: has no diagnostics" for made in plan.of_type(*services, BUS) if made.id not in watched)
    yield from (
        f"{app.where}: Flex allows no diagnostics" for app in plan.of_type("Microsoft.Web/sites") if app.id in watched
    )


_NAMES = {
    ACCOUNT: r"[a-z0-9]{3,24}",
    BUS: r"[a-zA-Z][a-zA-Z0-9-]{4,48}[a-zA-Z0-9]",
    "Microsoft.Web/sites": r"[a-zA-Z0-9][a-zA-Z0-9-]{0,58}[a-zA-Z0-9]",
    "Microsoft.Web/serverfarms": r"[a-zA-Z0-9-]{1,60}",
    "Microsoft.ManagedIdentity/userAssignedIdentities": r"[a-zA-Z0-9][a-zA-Z0-9_-]{2,127}",
    "Microsoft.OperationalInsights/workspaces": r"[a-zA-Z0-9][a-zA-Z0-9-]{2,61}[a-zA-Z0-9]",
    "Microsoft.Insights/components": r"[^%&\\?/]{1,259}",
    "Microsoft.Compute/virtualMachineScaleSets": r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}[a-zA-Z0-9_]",
    "Microsoft.App/managedEnvironments": r"[a-z][a-z0-9-]{0,58}[a-z0-9]",
    "Microsoft.App/jobs": r"(?!.*--)[a-z][a-z0-9-]{0,30}[a-z0-9]",
    f"{ACCOUNT}/queueServices/queues": r"(?!.*--)[a-z0-9][a-z0-9-]{1,61}[a-z0-9]",
    f"{ACCOUNT}/tableServices/tables": r"[A-Za-z][A-Za-z0-9]{2,62}",
    f"{ACCOUNT}/blobServices/containers": r"(?!.*--)[a-z0-9][a-z0-9-]{1,61}[a-z0-9]",
    "Microsoft.Authorization/roleAssignments": r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}",
}
"""What Azure allows as a name, by type: "Naming rules and restrictions for Azure resources"."""


@rule_of_each_deployment
def names_are_of_a_length_and_of_letters_that_azure_allows(plan: Deployment) -> Iterator[str]:
    for made in plan.resources:
        if not re.fullmatch(_NAMES.get(made.type, r".{1,80}"), made.last_name):
            yield f"{made.where}: {made.type} cannot be called {made.last_name!r}"
    ids = [made.id + made.scope for made in plan.resources]
    yield from (f"{one.rpartition('/')[2]} is made twice" for one in sorted({one for one in ids if ids.count(one) > 1}))


@rule_of_each_deployment
def every_resource_that_takes_tags_has_them(plan: Deployment) -> Iterator[str]:
    for made in plan.resources:
        if "location" in made.body and "tags" not in made.body:
            yield f"{made.where}: {made.symbol} has no tags"

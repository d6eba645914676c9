"""The checks find what they are for: each fault that is put into a copy of the templates is reported."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.infra.bicep.azure_types import AzureTypes
from tests.infra.book_of_rules import RULES
from tests.infra.conftest import FOLDER
from tests.infra.rules.book import Infra


@dataclass(frozen=True, slots=True)
class Fault:
    """A change of one file, and the rule that must report it, by the beginning of its sentence."""

    file: str
    old: str
    new: str
    rule: str = ""

    def __str__(self) -> str:
        return f"{Path(self.file).stem}: {' '.join(self.new.split()) or 'no ' + self.old.strip()}"[:70]


def in_module(name: str, old: str, new: str, rule: str = "") -> Fault:
    return Fault(f"modules/{name}.bicep", old, new, rule)


FAULTS = [
    # Names
    Fault("main.bicep", "dataName}/${realms[0]}'", "dataNam}/${realms[0]}'", "every file parses"),
    Fault("main.bicep", "var packageContainer =", "var unused = 1\nvar packageContainer =", "every file parses"),
    Fault("main.bicep", "take(uniqueString(", "take(uniqueStrings(", "every file parses"),
    Fault("main.bicep", "module bus 'modules/servicebus.bicep'", "module bus 'modules/bus.bicep'", "every file parses"),
    Fault("main.bicep", "    appName: apiName\n", "", "every file parses"),
    Fault("main.bicep", "    appName: apiName\n", "    appName: apiName\n    slots: 1\n", "every file parses"),
    Fault("main.bicep", "api.outputs.hostName", "api.outputs.hostname", "every file parses"),
    Fault("main.bicep", "@description('Tags of every resource.')\n", "", "every file parses"),
    Fault(
        "main.bicep",
        "param location string",
        "@secure()\nparam password string\nparam location string",
        "every file parses",
    ),
    in_module("storage", "resource queueService ", "resource account ", "every file parses"),
    in_module("storage", "properties: {\n    accessTier", "properties: [\n    accessTier", "every file parses"),
    Fault("main.bicep", "resourceGroup().id, name), 8)", "resourceGroup().id, hostName), 8)", "every deployment"),
    Fault(
        "main.bicep",
        "take(uniqueString(resourceGroup().id, name), 8)",
        "uniqueString(resourceGroup().id, name)",
        "every deployment",
    ),
    Fault("main.bicepparam", "param realms", "param relams", "parameter files"),
    Fault("main.parameters.json", '"workerMax"', '"workersMax"', "parameter files"),
    in_module("storage", "storageAccounts@2025-01-01' =", "storageAccounts@2023-05-01' =", "api versions"),
    Fault("main.bicep", "output JOBQ_TABLES", "output JOBQ_TABLE", "outputs are"),
    Fault("main.bicep", "output JOBQ string = address", "output JOBQ string = dataName", "outputs are"),
    # Keys, strangers, plain HTTP
    in_module("storage", "allowSharedKeyAccess: false", "allowSharedKeyAccess: true", "storage accounts"),
    in_module("storage", "minimumTlsVersion: 'TLS1_2'", "", "storage accounts"),
    in_module("storage", "supportsHttpsTrafficOnly: true", "supportsHttpsTrafficOnly: false", "storage accounts"),
    in_module("storage", "allowBlobPublicAccess: false", "allowBlobPublicAccess: true", "storage accounts"),
    in_module("storage", "publicAccess: 'None'", "publicAccess: 'Blob'", "storage accounts"),
    in_module("servicebus", "disableLocalAuth: true", "disableLocalAuth: false", "service bus"),
    in_module("servicebus", "minimumTlsVersion: '1.2'", "minimumTlsVersion: '1.0'", "service bus"),
    in_module("servicebus", "lockDuration: 'PT5M'", "lockDuration: 'PT1M'", "service bus"),
    in_module("monitoring", "DisableLocalAuth: true", "DisableLocalAuth: false", "logs have"),
    in_module("monitoring", "workspaceCapping: { dailyQuotaGb: json(dailyQuotaGb) }", "", "logs have"),
    in_module("api", "httpsOnly: true", "httpsOnly: false", "the app runs"),
    in_module("api", "minTlsVersion: '1.2'", "minTlsVersion: '1.0'", "the app runs"),
    in_module("api", "properties: { allow: false }", "properties: { allow: true }", "the app runs"),
    in_module("api", "triggers: { http: { perInstanceConcurrency: concurrency } }", "", "the app scales"),
    in_module(
        "storage",
        "resource queueService ",
        "output key string = account.listKeys().keys[0].value\nresource queueService ",
        "no file has a secret",
    ),
    # Names that the code has
    Fault("main.bicep", "var tableName = 'jobq'", "var tableName = 'jobs'", "queues tables"),
    Fault("main.bicep", "${realm}-lane-${lane}", "${realm}-${lane}", "queues tables"),
    Fault("main.bicep", "['payload', 'result'", "['payloads', 'result'", "old blobs"),
    in_module("storage", "enabled: true\n          definition", "enabled: false\n          definition", "old blobs"),
    Fault("main.bicep", "{ JOBQ_STORAGE: dataName }", "{ JOBQ_STORE: dataName }", "app settings"),
    in_module("api", "AzureWebJobsStorage__clientId: identity.properties.clientId", "", "app settings"),
    in_module("api", "AzureWebJobsDisableHomepage: 'true'", "FUNCTIONS_WORKER_RUNTIME: 'python'", "app settings"),
    in_module("api", "${packageContainer}'", "code'", "the package"),
    Fault("main.bicep", "hostAccountName: hostName", "hostAccountName: dataName", "the code of"),
    # Who may do what
    in_module("rbac", "74c5e8b-45b9-4653-ba55-5f855dd0fb88", "74c5e8b-45b9-4653-ba55-5f855dd0fb89", "every role id"),
    in_module("rbac", "19e7f393-937e-4f77-808e-94535e297925", "8a0f0c08-91a1-4084-bc3d-661d67233fed", "everyone has"),
    in_module(
        "rbac", "queues[i].id, workerPrincipalId, roles.queueContributor", "'w', workerPrincipalId", "role assignments"
    ),
    in_module("rbac", "      principalType: 'ServicePrincipal'\n", "", "role assignments"),
    in_module("rbac", "scope: wheels", "scope: account", "data roles"),
    in_module("rbac", "scope: table\n", "scope: resourceGroup()\n", "role assignments"),
    in_module("rbac", "if (!empty(userPrincipalId))", "if (empty(userPrincipalId))", "people are"),
    in_module("rbac-servicebus", "principalId: workerPrincipalId", "principalId: scalerPrincipalId", "everyone has"),
    in_module("api", "scope: hostAccount", "scope: resourceGroup()", "role assignments"),
    in_module("workers-vmss", "virtualMachineScaleSets/write'", "*'", "custom roles"),
    # Workers
    in_module(
        "workers-vmss", "evictionPolicy: isSpot ? 'Delete' : null", "evictionPolicy: 'Deallocate'", "machines that"
    ),
    in_module(
        "workers-vmss", "scheduledEventsProfile: isSpot ? null : {", "scheduledEventsProfile: {", "machines that"
    ),
    in_module(
        "workers-vmss", "disablePasswordAuthentication: true", "disablePasswordAuthentication: false", "nobody logs in"
    ),
    in_module("workers-vmss", "access: 'Deny'", "access: 'Allow'", "nobody logs in"),
    in_module("workers-vmss", "defaultOutboundAccess: false", "defaultOutboundAccess: true", "machines reach"),
    in_module("workers-vmss", "mark: '@@INSTALL@@'", "mark: '@@INSTALLER@@'", "cloud init"),
    Fault("cloud-init/worker.yaml", "runcmd:", "runcmds:", "cloud init"),
    Fault("cloud-init/worker.yaml", "--idle-timeout 10m", "", "cloud init"),
    Fault("cloud-init/worker.yaml", "--leave-scale-set", "--leave-the-set", "cloud init"),
    Fault("main.bicep", "JOBQ_SCALE_MAX: string(workerMax)", "", "the scaler"),
    Fault("main.bicep", "JOBQ_WORKER_SLOTS:", "JOBQ_WORKER_SLOT:", "workers are told"),
    in_module("workers-acajob", "replicaRetryLimit: 0", "replicaRetryLimit: 3", "the container job"),
    in_module("workers-acajob", "queueLength: string(slots)", "queueLength: slots", "the container job"),
    in_module("workers-acajob", "namespace: busName", "accountName: busName", "the container job"),
    Fault("aml/compute.yml", "min_instances: 0", "min_instances: 1", "azure ml"),
    Fault("README.md", "what-if", "whatif", "the readme"),
]

TYPE_FAULTS = [
    in_module("storage", "supportsHttpsTrafficOnly:", "supportHttpsTrafficOnly:"),
    in_module("storage", "kind: 'StorageV2'", "kind: 'StorageV3'"),
    in_module("storage", "  kind: 'StorageV2'\n", ""),
    in_module("storage", "metrics: metrics }", "metrics: metrics, retention: 3 }"),
    in_module("servicebus", "maxDeliveryCount: 1000", "maxDeliveryCount: '1000'"),
    in_module("servicebus", "sku: { name: 'Standard'", "sku: { name: 'Fancy'"),
    in_module("api", "reserved: true", "reserved: 'yes'"),
    in_module("api", "serverFarmId:", "serverFarmID:"),
    in_module("api", "kind: 'functionapp,linux'", "kind: 'functionapp,linux'\n  state: 'Running'"),
    in_module("workers-vmss", "overprovision: false", "overProvision: false"),
    in_module("workers-vmss", "direction: 'Inbound'", ""),
    in_module("workers-acajob", "triggerType: 'Event'", "triggerType: 'Queue'"),
    in_module("rbac", "    principalId: servicePrincipalId\n", ""),
]


def seeded(fault: Fault, folder: Path) -> Infra:
    """A copy of the templates with the fault in it."""
    copy = folder / "infra"
    shutil.copytree(FOLDER, copy)
    text = (copy / fault.file).read_text(encoding="utf-8")
    assert fault.old in text
    (copy / fault.file).write_text(text.replace(fault.old, fault.new), encoding="utf-8")
    return Infra.read(copy)


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_rule_finds_the_fault_that_it_is_for(fault: Fault, tmp_path: Path) -> None:
    infra = seeded(fault, tmp_path)

    (sentence,) = (sentence for sentence in RULES if sentence.startswith(fault.rule))

    assert [*RULES[sentence](infra)] != []


@pytest.mark.parametrize("fault", TYPE_FAULTS, ids=str)
def test_types_find_the_fault(fault: Fault, tmp_path: Path, azure_types: AzureTypes) -> None:
    infra = seeded(fault, tmp_path)

    changed = [
        made for plan in infra.plans.values() for made in plan.resources if made.where.startswith(Path(fault.file).name)
    ]

    assert infra.broken == []
    assert {problem for made in changed for problem in azure_types.problems_of(made)} != set()

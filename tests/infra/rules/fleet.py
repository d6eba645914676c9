"""Rules about the workers: scale set, Container Apps job, cloud-init, Azure ML."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from typing import Any

import yaml

from jobq.cli.commands.worker import command as worker
from tests.infra.bicep.deployment import Deployment, Made
from tests.infra.rules.book import Infra, rule, rule_of_each_deployment, unlike
from tests.infra.rules.control_plane import APP, SCALE, read_by_the_code, settings
from tests.infra.rules.data import queues

SCALE_SET = "Microsoft.Compute/virtualMachineScaleSets"
JOB = "Microsoft.App/jobs"
INSTALL = {"JOBQ_WHEELS", "JOBQ_WHEEL", "JOBQ_WHEEL_SHA256", "JOBQ_REQUIREMENTS_SHA256"}
"""What infra/worker/install.py reads."""

_SECRET = re.compile(
    r"(?i)AccountKey=|SharedAccessKey|password\s*[:=]|BEGIN [A-Z ]*PRIVATE KEY|[?&]sig=|connection_string"
)


@rule_of_each_deployment
def machines_that_can_be_taken_away_are_deleted_and_others_are_warned(plan: Deployment) -> Iterator[str]:
    for made in plan.of_type(SCALE_SET):
        profile = "properties.virtualMachineProfile"
        notice = f"{profile}.scheduledEventsProfile.terminateNotificationProfile"
        if made.at(f"{profile}.priority") == "Spot":
            spot = {f"{profile}.evictionPolicy": "Delete", f"{profile}.billingProfile.maxPrice": -1, notice: None}
            yield from unlike(made.where, made.at, spot)
        else:
            yield from unlike(made.where, made.at, {f"{notice}.enable": True, f"{profile}.evictionPolicy": None})
        if made.at("properties.overprovision") is not False:
            yield f"{made.where}: instances too many would be deleted with the jobs they have begun"


@rule_of_each_deployment
def nobody_logs_in_to_a_machine_by_password_or_from_outside(plan: Deployment) -> Iterator[str]:
    for made in plan.of_type(SCALE_SET):
        linux = "properties.virtualMachineProfile.osProfile.linuxConfiguration"
        yield from unlike(made.where, made.at, {f"{linux}.disablePasswordAuthentication": True})
        if made.at("properties.virtualMachineProfile.osProfile.adminPassword"):
            yield f"{made.where}: has a password"
        if made.at("properties.virtualMachineProfile.securityProfile.securityType") != "TrustedLaunch":
            yield f"{made.where}: is not launched as trusted"
    for group in plan.of_type("Microsoft.Network/networkSecurityGroups"):
        rules = [one["properties"] for one in group.at("properties.securityRules") or []]
        inbound = [one for one in rules if one["direction"] == "Inbound"]
        denies = [
            one
            for one in inbound
            if one["access"] == "Deny"
            and one["protocol"] == "*"
            and one.get("sourceAddressPrefix") == "*"
            and one.get("destinationPortRange") == "*"
        ]
        if not denies or len(denies) != len(inbound):
            yield f"{group.where}: lets something in"


@rule_of_each_deployment
def machines_reach_the_internet_in_a_way_that_is_said(plan: Deployment) -> Iterator[str]:
    for network in plan.of_type("Microsoft.Network/virtualNetworks"):
        for subnet in network.at("properties.subnets") or []:
            if subnet["properties"].get("defaultOutboundAccess") is not False:
                yield f"{network.where}: outbound access is by default, which ends"
            if "networkSecurityGroup" not in subnet["properties"]:
                yield f"{network.where}: a subnet has no security group"
            is_nat = "natGateway" in subnet["properties"]
            for made in plan.of_type(SCALE_SET):
                if is_nat == ("publicIPAddressConfiguration" in str(made.body)):
                    yield f"{made.where}: has no way out, or two"


@rule_of_each_deployment
def the_scaler_is_told_what_it_may_do(plan: Deployment) -> Iterator[str]:
    sets = [made.id for made in plan.of_type(SCALE_SET)]
    for app in plan.of_type(APP):
        found = {name: value for name, value in settings(plan, app).items() if name.startswith("JOBQ_SCALE_")}
        missing = SCALE - set(found) if sets else set()
        yield from (f"{app.where}: misses the setting {name}" for name in sorted(missing))
        if found and not str(found.get("JOBQ_SCALE_CLIENT_ID")).endswith(".properties.clientId"):
            yield f"{app.where}: JOBQ_SCALE_CLIENT_ID is no identity of this deployment"
        if found.get("JOBQ_SCALE_SET", "") not in (sets or [""]):
            yield f"{app.where}: JOBQ_SCALE_SET is no scale set of this deployment"
        if found and not 0 <= int(found.get("JOBQ_SCALE_MIN", 0)) <= int(found.get("JOBQ_SCALE_MAX", 0)):
            yield f"{app.where}: JOBQ_SCALE_MIN is above JOBQ_SCALE_MAX"
        if sets and not re.fullmatch(r"\d+[smhd]", found.get("JOBQ_SCALE_COOLDOWN", "")):
            yield f"{app.where}: JOBQ_SCALE_COOLDOWN is no duration"
    if any("autoscale" in made.type.lower() or "QueueMessageCount" in str(made.body) for made in plan.resources):
        yield "scaled by Azure Monitor, which counts messages hours late"


_METADATA = {
    "azure-queue": {"accountName", "queueName", "queueLength", "queueLengthStrategy"},
    "azure-servicebus": {"namespace", "queueName", "messageCount"},
}


@rule_of_each_deployment
def the_container_job_counts_each_queue_as_an_identity(plan: Deployment) -> Iterator[str]:
    for made in plan.of_type(JOB):
        configuration = made.at("properties.configuration")
        expected = {"triggerType": "Event", "replicaRetryLimit": 0}
        yield from unlike(made.where, configuration.get, expected)
        if configuration.get("replicaTimeout", 0) < 1800 or configuration.get("secrets"):
            yield f"{made.where}: has a short end, or secrets"
        scale = configuration["eventTriggerConfig"]["scale"]
        if scale.get("minExecutions") != 0:
            yield f"{made.where}: costs while idle"
        rules = scale.get("rules", [])
        if {one["metadata"].get("queueName") for one in rules} != queues(plan):
            yield f"{made.where}: the rules are not of the queues"
        for one in rules:
            yield from _scale_rule(made, one, plan)


def _scale_rule(made: Made, one: dict[str, Any], plan: Deployment) -> Iterator[str]:
    kind = "azure-servicebus" if plan.outputs.get("JOBQ_SERVICEBUS") else "azure-queue"
    metadata = one["metadata"]
    if one["type"] != kind or set(metadata) != _METADATA[kind]:
        yield f"{made.where}: the rule {one['name']} is a {one['type']} of {sorted(metadata)}"
    if not all(isinstance(value, str) for value in metadata.values()):
        yield f"{made.where}: the rule {one['name']} has what is no text"
    if one.get("identity") not in made.at("identity.userAssignedIdentities") or "auth" in one:
        yield f"{made.where}: the rule {one['name']} does not ask as an identity of the job"


def environment_of(plan: Deployment) -> Iterator[tuple[Made, dict[str, str]]]:
    """What each kind of worker finds in its environment."""
    for made in plan.of_type(JOB):
        for container in made.at("properties.template.containers"):
            yield made, {one["name"]: one["value"] for one in container["env"]}
    for made in plan.of_type(SCALE_SET):
        for one in cloud_config(made).get("write_files", []):
            if one["path"].endswith("worker.env"):
                lines = base64.b64decode(one["content"]).decode().splitlines()
                yield made, dict(line.split("=", 1) for line in lines)


def cloud_config(made: Made) -> dict[str, Any]:
    """What cloud-init reads on an instance of the scale set."""
    text = base64.b64decode(made.at("properties.virtualMachineProfile.osProfile.customData")).decode()
    return dict(yaml.safe_load(text))


@rule_of_each_deployment
def workers_are_told_what_they_read_and_install_by_hash(plan: Deployment) -> Iterator[str]:
    options = {f"JOBQ_WORKER_{str(option.name).upper()}" for option in worker.params}
    known = {"AZURE_CLIENT_ID", "JOBQ", *INSTALL, *options, *read_by_the_code()}
    found = [*environment_of(plan)]
    if not found and (plan.outputs.get("JOBQ_SCALE_SET") or plan.outputs.get("JOBQ_CONTAINER_JOB")):
        yield "the workers have no environment"
    for made, environment in found:
        yield from (f"{made.where}: {name} is read by no worker" for name in sorted(set(environment) - known))
        needed = {"AZURE_CLIENT_ID", "JOBQ", *INSTALL} - set(environment)
        yield from (f"{made.where}: misses {name}" for name in sorted(needed))
        if environment.get("JOBQ") != plan.outputs["JOBQ"]:
            yield f"{made.where}: JOBQ is not that of the outputs"
        hashes = (environment.get("JOBQ_WHEEL_SHA256"), environment.get("JOBQ_REQUIREMENTS_SHA256"))
        if hashes != ("a" * 64, "b" * 64):
            yield f"{made.where}: installs something else than the hashes of the parameters"
        if plan.outputs["JOBQ_SERVICEBUS"] and environment.get("JOBQ_TABLES") != plan.outputs["JOBQ_TABLES"]:
            yield f"{made.where}: does not know where the rows are"


_TOP = {"package_update", "package_upgrade", "packages", "users", "write_files", "runcmd"}


@rule_of_each_deployment
def cloud_init_starts_a_worker_that_leaves_when_idle(plan: Deployment) -> Iterator[str]:
    for made in plan.of_type(SCALE_SET):
        config = cloud_config(made)
        yield from (f"{made.where}: cloud-init has no {key}" for key in sorted(set(config) - _TOP))
        if "@@" in str(config):
            yield f"{made.where}: a mark of cloud-init was not filled in"
        units = {one["path"]: str(one["content"]) for one in config.get("write_files", [])}
        unit = next((text for path, text in units.items() if path.endswith("jobq-worker.service")), "")
        for line in ("Restart=on-failure", "EnvironmentFile=/etc/jobq/worker.env"):
            if line not in unit.split("\n"):
                yield f"{made.where}: the unit misses {line}"
        if not re.search(r"ExecStart=\S*jobq worker .*--idle-timeout \d+m", unit):
            yield f"{made.where}: the unit starts no worker that ends when idle"
        options = {name for option in worker.params for name in option.opts}
        unknown = set(re.findall(r"(?<= )--[a-z-]+", unit.partition("ExecStart=")[2].partition("\n")[0])) - options
        yield from (f"{made.where}: jobq worker has no option {name}" for name in sorted(unknown))
        if "jobq-worker.service" not in str(config.get("runcmd")):
            yield f"{made.where}: nothing starts the unit"


@rule
def no_file_has_a_secret_or_asks_azure_for_one(infra: Infra) -> Iterator[str]:
    asks = re.compile(r"\blist(Keys|AccountSas|ServiceSas|Secrets)\w*\s*\(|getSecret\s*\(|AccountKey=|SharedAccessKey=")
    for path in sorted(infra.folder.rglob("*")):
        if path.suffix in (".bicep", ".bicepparam", ".json", ".yaml", ".yml", ".sh", ".py"):
            text = path.read_text(encoding="utf-8")
            found = asks.search(text) or (_SECRET.search(text) if path.suffix in (".yaml", ".yml") else None)
            if found:
                yield f"{path.name}: {found[0]}"


@rule
def azure_ml_runs_workers_on_machines_that_go_away_when_idle(infra: Infra) -> Iterator[str]:
    compute, job = yaml.safe_load(infra.text("aml/compute.yml")), yaml.safe_load(infra.text("aml/worker-job.yml"))
    expected = {"type": "amlcompute", "tier": "low_priority", "min_instances": 0}
    yield from unlike("compute.yml", compute.get, expected)
    if compute.get("identity", {}).get("type") != "user_assigned" or not compute.get("idle_time_before_scale_down"):
        yield "compute.yml: has no identity or no end of idle time"
    yield from unlike("worker-job.yml", job.get, {"type": "command", "identity": {"type": "managed"}})
    if not job.get("limits", {}).get("timeout") or "jobq worker --exit-when-empty" not in job.get("command", ""):
        yield "worker-job.yml: has no end"
    if job.get("compute") != f"azureml:{compute.get('name')}":
        yield "worker-job.yml: runs on another cluster than that of compute.yml"
    options = {f"JOBQ_WORKER_{str(option.name).upper()}" for option in worker.params}
    known = {"AZURE_CLIENT_ID", "JOBQ", *INSTALL, *options, *read_by_the_code()}
    for name in sorted(set(job.get("environment_variables", {})) - known):
        yield f"worker-job.yml: {name} is read by no worker"

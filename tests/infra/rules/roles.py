"""Rules about who may do what."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tests.infra.bicep.deployment import Deployment, Made
from tests.infra.bicep.functions import guid
from tests.infra.bicep.syntax import entries, key_text, source, text_of, walk
from tests.infra.rules.book import DEPLOYMENTS, Infra, rule, rule_of_each_deployment
from tests.infra.rules.data import ACCOUNT, BUS, data_account, host_account

ROLES = {
    "b7e6dc6d-f1e8-4753-8033-0f276bb0955b": "Storage Blob Data Owner",
    "ba92f5b4-2d11-453d-a403-e96b0029c9fe": "Storage Blob Data Contributor",
    "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1": "Storage Blob Data Reader",
    "974c5e8b-45b9-4653-ba55-5f855dd0fb88": "Storage Queue Data Contributor",
    "c6a89b2d-59bc-44d0-9896-0f6e12d7b80a": "Storage Queue Data Message Sender",
    "19e7f393-937e-4f77-808e-94535e297925": "Storage Queue Data Reader",
    "0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3": "Storage Table Data Contributor",
    "76199698-9eea-4c19-bc75-cec21354c6b6": "Storage Table Data Reader",
    "69a216fc-b8fb-44d8-bc22-1f3c2cd27a39": "Azure Service Bus Data Sender",
    "4f6d3b9b-027b-4f4c-9142-0e5a2a2247e0": "Azure Service Bus Data Receiver",
    "3913510d-42f4-4e42-8a64-420c390055eb": "Monitoring Metrics Publisher",
}
"""Built-in roles that a template may give. Owner, Contributor and the like are not among them."""

SCALING = {
    "Microsoft.Compute/virtualMachineScaleSets/read",
    "Microsoft.Compute/virtualMachineScaleSets/write",
    "Microsoft.Compute/virtualMachineScaleSets/delete/action",
    "Microsoft.Compute/virtualMachineScaleSets/instanceView/read",
    "Microsoft.Compute/virtualMachineScaleSets/virtualMachines/read",
    "Microsoft.Compute/virtualMachineScaleSets/virtualMachines/instanceView/read",
    "Microsoft.Compute/virtualMachineScaleSets/virtualMachines/delete",
}
"""All that a role of our own may allow."""

_GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
ASSIGNMENT = "Microsoft.Authorization/roleAssignments"
_QUEUE, _TABLE = "Storage Queue Data Contributor", "Storage Table Data Contributor"
_BLOB, _READ = "Storage Blob Data Contributor", "Storage Blob Data Reader"
_SEND, _RECEIVE = "Azure Service Bus Data Sender", "Azure Service Bus Data Receiver"

MATRIX: dict[str, dict[str, set[str]]] = {
    "service": {
        "queue": {_QUEUE},
        "table": {_TABLE},
        "jobs": {_BLOB},
        "bus": {_SEND, _RECEIVE},
        "host": {"Storage Blob Data Owner"},
        "insights": {"Monitoring Metrics Publisher"},
    },
    # Contributor: a lease is renewed with messages/write, which Message Processor has not; depth needs queues/read.
    "worker": {
        "queue": {_QUEUE},
        "table": {_TABLE},
        "jobs": {_BLOB},
        "wheels": {_READ},
        "bus": {_SEND, _RECEIVE},
        "scale set": {"custom"},
    },
    "scaler": {"queue": {"Storage Queue Data Reader"}, "bus": {_RECEIVE}, "scale set": {"custom"}},
    "people": {"queue": {_QUEUE}, "table": {_TABLE}, "jobs": {_BLOB}, "wheels": {_BLOB}, "bus": {_SEND, _RECEIVE}},
}
"""Who may have which roles on what: nothing else, and all of it where the deployment has such a thing."""


def role_of(plan: Deployment, made: Made) -> str:
    """The name of the role that is given; `custom` for one of the deployment's own."""
    id = str(made.properties.get("roleDefinitionId", ""))
    own = {one.id for one in plan.of_type("Microsoft.Authorization/roleDefinitions")}
    return "custom" if id in own else ROLES.get(id.rpartition("/")[2], f"unknown role {id}")


def who_of(made: Made) -> str:
    """Whose principal it is: an identity's by its name, else people's."""
    principal = str(made.properties.get("principalId", ""))
    if not principal.startswith("<"):
        return "people"
    return next((who for who in ("service", "worker", "scaler") if f"-{who}-" in principal), principal)


def on_what(plan: Deployment, made: Made) -> str:
    """What it is given on, in the words of the matrix."""
    host, scope = host_account(plan), made.scope
    if host is not None and scope.startswith(host.id):
        return "host"
    for word, part in (("jobs", "/containers/jobq"), ("wheels", "/containers/wheels")):
        if scope.endswith(part):
            return word
    kinds = {
        f"/{BUS}/": "bus",
        "/queueServices/": "queue",
        "/tableServices/": "table",
        "/Microsoft.Insights/components/": "insights",
        "/virtualMachineScaleSets/": "scale set",
    }
    found = next((word for part, word in kinds.items() if part in scope), None)
    data = data_account(plan)
    if found is None and data is not None and scope == data.id:
        return "queue" if role_of(plan, made) == _QUEUE and who_of(made) == "service" else "the whole account"
    return found or scope


@rule_of_each_deployment
def everyone_has_the_roles_of_the_matrix_and_no_other(plan: Deployment) -> Iterator[str]:
    given: dict[tuple[str, str], set[str]] = {}
    for made in plan.of_type(ASSIGNMENT):
        who, what, role = who_of(made), on_what(plan, made), role_of(plan, made)
        given.setdefault((who, what), set()).add(role)
        if role not in MATRIX.get(who, {}).get(what, set()):
            yield f"{made.where}: {who} must not have {role} on {what}"
    is_on_bus, is_vmss = bool(plan.outputs.get("JOBQ_SERVICEBUS")), bool(plan.outputs.get("JOBQ_SCALE_SET"))
    absent = {"queue"} if is_on_bus else {"bus"}
    absent |= set() if is_vmss else {"scale set"}
    people = {"people"} if any(who == "people" for who, _ in given) else set()
    for who in {"service", "worker", "scaler"} | people:
        for what, roles in MATRIX[who].items():
            missing = roles - given.get((who, what), set())
            if what not in absent and missing:
                yield f"{who} misses {', '.join(sorted(missing))} on {what}"


@rule_of_each_deployment
def role_assignments_are_narrow_and_keep_their_names(plan: Deployment) -> Iterator[str]:
    known = {made.id for made in plan.resources}
    for made in plan.of_type(ASSIGNMENT):
        role = str(made.properties.get("roleDefinitionId", ""))
        parts = (made.scope, str(made.properties.get("principalId")))
        if made.scope == plan.group_id or made.scope.count("/") < 5:
            yield f"{made.where}: applies to the whole group"
        elif made.scope not in known:
            yield f"{made.where}: applies to nothing that this deployment makes: {made.scope}"
        if made.last_name not in (guid(*parts, role.rpartition("/")[2]), guid(*parts, role)):
            yield f"{made.where}: its name is not the guid of scope, principal and role"
        if made.properties.get("principalType") not in ("ServicePrincipal", "User", "Group"):
            yield f"{made.where}: says no principalType"


@rule_of_each_deployment
def custom_roles_allow_no_more_than_scaling(plan: Deployment) -> Iterator[str]:
    for made in plan.of_type("Microsoft.Authorization/roleDefinitions"):
        for permission in made.at("properties.permissions") or []:
            allowed = {*permission.get("actions", []), *permission.get("dataActions", [])}
            yield from (f"{made.where}: allows {action}" for action in sorted(allowed - SCALING))


@rule
def people_are_given_roles_only_where_they_are_named(infra: Infra) -> Iterator[str]:
    for name, plan in infra.plans.items():
        asked = DEPLOYMENTS[name]
        given = [made for made in plan.of_type(ASSIGNMENT) if who_of(made) == "people"]
        if bool(given) != bool(asked.get("userPrincipalId")):
            yield f"{name}: {len(given)} roles of people"
        for made in given:
            if made.properties.get("principalType") != asked.get("userPrincipalType"):
                yield f"{made.where}: principalType is not that of the parameter"


@rule
def every_role_id_is_one_we_know_and_is_followed_by_its_name(infra: Infra) -> Iterator[str]:
    for template in infra.templates:
        lines = source(template.root).splitlines()
        for node in walk(template.root):
            if node.type != "object":
                continue
            for key, value in entries(node):
                text = text_of(value) if value.type == "string" else ""
                if not _GUID.fullmatch(text):
                    continue
                comment, role = lines[value.start_point[0]].partition("//")[2].strip(), ROLES.get(text)
                if role != comment:
                    yield f"{template.where(value)}: {key_text(key)} is {role or 'no role we know'}, not {comment!r}"


@rule_of_each_deployment
def data_roles_never_reach_a_whole_account_but_the_services(plan: Deployment) -> Iterator[str]:
    accounts = {account.id for account in plan.of_type(ACCOUNT)}
    for made in plan.of_type(ASSIGNMENT):
        if made.scope in accounts and who_of(made) != "service":
            yield f"{made.where}: {who_of(made)} has {role_of(plan, made)} on a whole account"

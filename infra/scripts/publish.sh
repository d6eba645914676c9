#!/bin/sh
# Bring this checkout to a deployment: the wheel that its workers install, and the code of its control plane.
#
#   infra/scripts/publish.sh [--only wheel|code] [RESOURCE_GROUP [DEPLOYMENT]]
#
# DEPLOYMENT is what the deployment is called, by default `main`, as the template. Without a resource group the names of
# things come from variables called as the deployment's outputs, as azd sets them for its hooks.
#
# Azure takes minutes to heed a new role assignment. What it refuses meanwhile is tried again, 40 times, every 15 s
# (PUBLISH_TRIES, PUBLISH_PAUSE). Exit codes: 0 published, 1 error, 2 wrong usage, 4 not allowed.
set -eu

python=${PYTHON:-python3}
tries=${PUBLISH_TRIES:-40}
pause=${PUBLISH_PAUSE:-15}
here=$(dirname "$0")
dist=$here/../../dist/deployment

say() { printf '%s\n' "$*" >&2; }

die() {
  code=$1
  shift
  say "publish.sh: $*"
  exit "$code"
}

usage() {
  die 2 "$1; usage: infra/scripts/publish.sh [--only wheel|code] [RESOURCE_GROUP [DEPLOYMENT]]"
}

# The value of an output or parameter of the deployment; empty if it has none. Azure changes the case of their names.
value_of() {
  printf '%s' "$deployment" | "$python" -c '
import json, sys
found = json.load(sys.stdin)
values = {name.lower(): entry.get("value") for part in found if part for name, entry in part.items()}
print(values.get(sys.argv[1].lower()) or "")' "$1"
}

read_deployment() {
  deployment=$(az deployment group show --resource-group "$1" --name "$2" \
    --query '[properties.parameters, properties.outputs]' --output json) ||
    die 1 "deployment $2 of resource group $1 cannot be read; see above. \`az deployment group list -g $1 -o table\`" \
      "shows which there are"
  AZURE_RESOURCE_GROUP=$1
  JOBQ_STORAGE=$(value_of JOBQ_STORAGE)
  JOBQ_WHEEL_CONTAINER=$(value_of JOBQ_WHEEL_CONTAINER)
  AZURE_FUNCTION_NAME=$(value_of AZURE_FUNCTION_NAME)
}

need() {
  [ -n "$2" ] || die 1 "$1 is not known: it is an output of infra/main.bicep; name the resource group and deployment"
}

# The workers of a deployment install nothing but what it was told to trust, so anything else must not get there.
compare() {
  told=$(value_of "$1")
  fleet=$(value_of workers)
  [ "${fleet:-none}" = none ] || [ "$told" = "$2" ] ||
    die 1 "the deployment was told $1=${told:-(nothing)}, and this checkout has $2: its workers would refuse that." \
      "Deploy again with \`-p \$(infra/scripts/build.sh)\`, then publish"
}

is_refusal() {
  grep -qE 'required permissions|Authorization(Failed|Failure|PermissionMismatch)|Forbidden|InaccessibleStorage' "$1" ||
    grep -qE '[:(] ?(403|503)|unhealthy' "$1"
}

# Run az until it is no longer refused, at most so often. $1 is what to say of it meanwhile, $2 what if that is the end.
patiently() {
  waiting_for=$1
  remedy=$2
  shift 2
  count=1
  until az "$@" >"$log" 2>&1; do
    cat "$log" >&2
    is_refusal "$log" || die 1 "az failed, and not for want of a role; what it said is above"
    [ "$count" -lt "$tries" ] || die 4 "refused $count times, for longer than a new role takes to be heeded. $remedy"
    say "waiting for $waiting_for: try $count of $tries, the next in $pause s"
    count=$((count + 1))
    sleep "$pause"
  done
}

upload() {
  name=$(basename "$1")
  account="\$(az storage account show --name $JOBQ_STORAGE --query id --output tsv)"
  patiently "your role on the container $JOBQ_WHEEL_CONTAINER of $JOBQ_STORAGE" \
    "You need a role on the container, and being the owner of the account is not enough: az role assignment create --assignee YOU \
--role 'Storage Blob Data Contributor' --scope $account/blobServices/default/containers/$JOBQ_WHEEL_CONTAINER" \
    storage blob upload --account-name "$JOBQ_STORAGE" --container-name "$JOBQ_WHEEL_CONTAINER" --name "$name" \
    --file "$1" --auth-mode login --overwrite true --no-progress --output none
  say "uploaded $name to $JOBQ_STORAGE/$JOBQ_WHEEL_CONTAINER"
}

publish_wheel() {
  need JOBQ_STORAGE "${JOBQ_STORAGE:-}"
  need JOBQ_WHEEL_CONTAINER "${JOBQ_WHEEL_CONTAINER:-}"
  for one in $built; do compare "${one%%=*}" "${one#*=}"; done
  upload "$dist/requirements.txt"
  for wheel in "$dist"/jobq-*.whl; do upload "$wheel"; done
}

publish_code() {
  need AZURE_RESOURCE_GROUP "${AZURE_RESOURCE_GROUP:-}"
  need AZURE_FUNCTION_NAME "${AZURE_FUNCTION_NAME:-}"
  say "publishing the code to $AZURE_FUNCTION_NAME; a remote build takes a few minutes"
  patiently "the roles of $AZURE_FUNCTION_NAME's identity on its own storage account" \
    "You need Contributor on $AZURE_RESOURCE_GROUP, and the app's identity the roles that the template gives it: see \
whether the deployment has ended well (az deployment group list -g $AZURE_RESOURCE_GROUP -o table)" \
    functionapp deployment source config-zip --resource-group "$AZURE_RESOURCE_GROUP" --name "$AZURE_FUNCTION_NAME" \
    --src "$dist/app.zip" --build-remote true --output none
  say "published the code to $AZURE_FUNCTION_NAME"
}

only=
if [ "${1:-}" = --only ]; then
  only=${2:-}
  case $only in wheel | code) shift 2 ;; *) usage "--only takes wheel or code" ;; esac
fi
case ${1:-} in -*) usage "there is no option $1" ;; esac
[ $# -le 2 ] || usage "too many arguments"
command -v az >/dev/null || die 1 "there is no az; install the Azure CLI"
az account show --output none || die 1 "you are not logged in; run \`az login\`"
deployment='[]'
[ $# -eq 0 ] || read_deployment "$1" "${2:-main}"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
built=$("$here/build.sh") || exit 1
printf '%s\n' "$built"
[ "$only" = code ] || publish_wheel
[ "$only" = wheel ] || publish_code

#!/bin/sh
# Build what a deployment needs, into dist/deployment, and print the parameters that tell it what to trust:
#
#   infra/scripts/build.sh
#
# The wheel that workers install, the requirements that they install beside it, each with its hash, and app.zip, the
# code of the control plane. The same checkout gives the same wheel. Needs Python 3.11 or newer with pip, and tar.
set -eu

python=${PYTHON:-python3}
out=dist/deployment

die() {
  printf 'build.sh: %s\n' "$1" >&2
  exit 1
}

sha256() {
  "$python" -c 'import hashlib, sys; print(hashlib.sha256(open(sys.argv[1], "rb").read()).hexdigest())' "$1"
}

build_wheel() {
  "$python" -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir "$out" . ||
    die "the wheel could not be built; see above. It takes Python 3.11 or newer with pip, and a package index"
}

# The names after `!/` in .funcignore, without what its other lines leave out below them.
pack_code() {
  names=$(sed -n 's|^!/||p' .funcignore)
  sed -n '\|^[^#!/]|s|/*$||p' .funcignore >"$out/left-out"
  mkdir "$out/app"
  # shellcheck disable=SC2086  # a list of names
  tar -cf "$out/app.tar" -X "$out/left-out" $names
  tar -xf "$out/app.tar" -C "$out/app"
  (cd "$out/app" && "$python" -m zipfile -c ../app.zip ./*)
  rm -r "$out/app" "$out/app.tar" "$out/left-out"
}

[ $# -eq 0 ] || { echo 'usage: infra/scripts/build.sh' >&2; exit 2; }
command -v "$python" >/dev/null || die "there is no $python; install Python 3.11 or newer, or name it in PYTHON"
cd "$(dirname "$0")/../.."
rm -rf "$out"
mkdir -p "$out"
build_wheel
pack_code
cp infra/requirements.txt "$out/requirements.txt"
version=$(basename "$out"/jobq-*.whl | cut -d- -f2)
printf 'jobqVersion=%s\n' "$version"
printf 'wheelSha256=%s\n' "$(sha256 "$out"/jobq-*.whl)"
printf 'requirementsSha256=%s\n' "$(sha256 "$out/requirements.txt")"

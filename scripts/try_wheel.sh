#!/usr/bin/env bash
# Uses a wheel as a stranger would: a new environment, an empty home, an empty folder, no compiler.
#
#     scripts/try_wheel.sh dist/adarts-*.whl          # PYTHON=python3.13 for another Python
set -euo pipefail

wheel=$(realpath "$1")
size=$(stat -c %s "$wheel")
((size < 3000000)) || { echo "$wheel has $size bytes, more than 3 MB" >&2; exit 1; }

place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
"${PYTHON:-python3}" -m venv "$place/environment"
"$place/environment/bin/pip" install --quiet --disable-pip-version-check "$wheel"

mkdir "$place/home" "$place/work" "$place/bin"
for program in sh bash env uname cat; do ln -s "$(command -v $program)" "$place/bin/"; done
cd "$place/work"
use() { env -i HOME="$place/home" PATH="$place/environment/bin:$place/bin" "$@"; }

use adarts --version
use adarts doctor
use adarts demo --scale smoke
use python -c '
import adarts
print(sum(p.numel() for p in adarts.create_model("ADARTS_V1", num_classes=10).parameters()), "parameters")'
use adarts search --data digits --scale smoke --run-dir again --search.epochs 2
use adarts search --data digits --scale smoke --run-dir again --search.epochs 2   # finished: says so
use adarts report again
echo "$(basename "$wheel"): $size bytes; it installs, searches, resumes and reports"

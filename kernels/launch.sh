#!/usr/bin/env bash
# Starts GoNB for one notebook. Nothing is installed: the tools live in .cache/bin, pinned by kernels/go.sum.
set -euo pipefail
here="$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd -P)"
root="$(dirname -- "$here")"
mkdir -p "$root/.cache"
exec 2>>"$root/.cache/kernel.log" # GoNB logs a stack trace at every normal exit
[ -x "$root/.cache/bin/gonb" ] || "$root/notebooks/open" --prepare >&2 # a server that was not started by notebooks/open
# shellcheck source=kernels/env.sh
. "$here/env.sh"
unset GOWORK # GoNB makes one that holds the cells and this repository
MUSTER_GO="${MUSTER_GO:-$(command -v go)}" TMPDIR="$(mktemp -d "${TMPDIR:-/tmp}/muster.XXXXXX")"
export MUSTER_RUNS="${MUSTER_RUNS:-$root/notebooks/runs}"
export MUSTER_GO TMPDIR GOFLAGS="$cell_flags" PATH="$here/bin:$root/.cache/bin:$PATH"
set -m # the guard gets its own process group: Jupyter kills the kernel's
bash "$here/guard.sh" $$ >/dev/null 2>&1 &
set +m
exec gonb --kernel "$1" -go_work="$root"

# shellcheck shell=bash disable=SC2154
# Sourced by launch.sh, notebooks/open and notebooks/test; expects $root, and from notebooks/open, which fetches what is
# missing, $mode. The one place that decides how Go code is built and which backend runs. What the user has set wins:
# GOMLX_BACKEND, PJRT_PLUGIN_LIBRARY_PATH, GOEXPERIMENT, MUSTER_XLA.
# It returns 1 after one line on stderr when nothing can be built, and leaves, besides the exported variables,
#   no_xla      why XLA cannot run here, empty if it can
#   xla_kind    cpu or cuda: which plugin is meant, and which list of packages, kernels/xla-KIND.txt
#   cell_flags  GOFLAGS for cells and for everything that shares the build cache with them
wrong() { printf 'muster: %s\n' "$*" >&2; }
newer() { # HAVE NEED: true if Go version HAVE (go1.26.8, or what a release candidate calls itself) is not older than NEED (1.26.5)
	local re='([0-9]+)\.([0-9]+)\.?([0-9]*)' i have need
	[[ $1 =~ $re ]] || return 1
	have=("${BASH_REMATCH[@]:1}")
	[[ $2 =~ $re ]] || return 1
	need=("${BASH_REMATCH[@]:1}")
	for i in 0 1 2; do [ "${have[i]:-0}" -eq "${need[i]:-0}" ] || break; done
	[ "${have[i]:-0}" -ge "${need[i]:-0}" ]
}

[ -z "${decided:-}" ] || [ "$GOMLX_BACKEND" != "$decided" ] || unset GOMLX_BACKEND # sourced again, after XLA was fetched
case "${MUSTER_XLA:-auto}" in
auto | off) xla_kind=cpu ;;
cuda) xla_kind=cuda ;;
*) wrong "MUSTER_XLA=$MUSTER_XLA is unknown: use auto, cuda or off" && return 1 ;;
esac

while read -r word need _; do [ "$word" != go ] || break; done <"$root/go.mod"
command -v go >/dev/null || { wrong "Go is missing: install Go $need or newer from https://go.dev/dl"; return 1; }
own="$(GOTOOLCHAIN=local go env GOVERSION)"
if ! newer "$own" "$need"; then
	# Go 1.21 and newer replaces itself by what go.mod asks for, if GOTOOLCHAIN lets it (auto, the usual default).
	case "$(newer "$own" 1.21 && go env GOTOOLCHAIN)" in
	*auto* | *path*) ;;
	'') wrong "Go is too old: ${own#go}, needed is $need or newer from https://go.dev/dl" && return 1 ;;
	*) wrong "Go is too old: ${own#go}, needed is $need; install it from https://go.dev/dl, or let Go fetch it: go env -w GOTOOLCHAIN=auto" && return 1 ;;
	esac
	if [ -z "$(find "$(GOTOOLCHAIN=local go env GOMODCACHE)/golang.org" -maxdepth 1 -name "toolchain@*-go$need.*" 2>/dev/null)" ]; then
		wrong "Go ${own#go} fetches Go $need, which go.mod asks for (once, 70 MB)"
		fetched="$(cd "$root" && go version 2>&1)" || { wrong "Go $need cannot be fetched: ${fetched##*$'\n'}"; return 1; }
	fi
fi
# GOWORK=off: a go.work in some folder above must not change what is built. Never empty GOFLAGS: "go env -w" would fill it.
export GOWORK=off GOFLAGS=-buildvcs=false
export GOMLX_NO_AUTO_INSTALL=1 # go-xla must not download by itself
export MUSTER_CACHE="${MUSTER_CACHE:-$root/.cache/programs}" # compiled programs, like all else inside the repository
# Without GOEXPERIMENT=simd: Go 1.26 leaves the upper halves of the vector registers in use when it interrupts a goroutine then,
# after which SHA-256 and math.Exp are hundreds of times slower (docs/performance.md).
answer="$(cd "$root" && go env GOVERSION GOOS GOARCH CGO_ENABLED CC 2>&1)" || { wrong "go does not work: ${answer##*$'\n'}"; return 1; }
read -r -d '' version os arch cgo cc <<<"$answer" || true
newer "$version" "$need" || { wrong "Go is too old: ${version#go}, needed is $need or newer (GOTOOLCHAIN=$(go env GOTOOLCHAIN))"; return 1; }
[ "$version" = "$own" ] || export GOTOOLCHAIN="$version" # GoNB's own folder has no go.mod that asks for it

no_xla=''
if [ "${MUSTER_XLA:-auto}" = off ]; then
	no_xla='MUSTER_XLA=off'
elif [ "$cgo" != 1 ] || ! $cc -E -x c - >/dev/null 2>&1 <<<'#include <stdlib.h>'; then # unquoted: it may be "ccache gcc"
	no_xla='no C compiler; Debian or Ubuntu: apt-get install gcc libc6-dev'
elif [ "$xla_kind" = cuda ] && [ "$os/$arch" != linux/amd64 ]; then
	no_xla="no CUDA plugin for $os/$arch, only for linux/amd64"
elif [ -z "${PJRT_PLUGIN_LIBRARY_PATH:-}" ]; then
	search() { # FILE FOLDER…: the first that holds it
		local file="$1" dir
		shift && found=''
		for dir; do [ -n "$found" ] || [ ! -e "$dir/$file" ] || found="$dir"; done
	}
	search pjrt_c_api_cpu_plugin.so "$HOME/.local/lib/go-xla" /usr/local/lib/go-xla "$root/.cache/xla/lammps_jax_pjrt_cpu"
	plugins="$found"
	if [ "$xla_kind" = cuda ]; then
		search pjrt_c_api_cuda_plugin.so "$HOME/.local/lib/go-xla/nvidia" /usr/local/lib/go-xla/nvidia "$root/.cache/xla_cuda/jax_plugins/xla_cuda13"
		plugins="${found:+$found${plugins:+:$plugins}}" # cells may still ask for xla:cpu
		case "$found" in "$root"/*) # the libraries also load each other, by name
			for dir in "$root/.cache/xla_cuda/nvidia/"*/lib; do export LD_LIBRARY_PATH="$dir${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"; done ;;
		esac
	fi
	if [ -n "$plugins" ]; then export PJRT_PLUGIN_LIBRARY_PATH="$plugins"; else
		no_xla="no plugin for $os/$arch"; fi # which notebooks/open fetches for linux/amd64
fi
if [ "$xla_kind" = cuda ]; then # asked for by name: what is in its way is an error
	missing="$no_xla"
	case "${mode:-}:$no_xla" in
	:'no plugin for linux/amd64') missing='no plugin yet; fetch it with MUSTER_XLA=cuda notebooks/open --prepare' ;;
	prepare:'' | prepare:'no plugin for linux/amd64') missing='' ;; # perhaps for another machine
	*:'' | *:'no plugin for linux/amd64')
		missing=''
		compgen -G '/dev/nvidia[0-9]*' >/dev/null || nvidia-smi -L >/dev/null 2>&1 ||
			missing='no NVIDIA driver (no /dev/nvidia0, and nvidia-smi lists no GPU)' ;;
	esac
	[ -z "$missing" ] || { wrong "MUSTER_XLA=cuda cannot run: $missing"; return 1; }
fi
cell_flags="-buildvcs=false '-ldflags=-s -w'"
if [ -n "$no_xla" ]; then
	cell_flags="$cell_flags -tags=noxla"
	case "${GOMLX_BACKEND:-}" in xla*) wrong "GOMLX_BACKEND=$GOMLX_BACKEND cannot run: $no_xla" && return 1 ;; esac
fi
if [ -z "${GOMLX_BACKEND:-}" ]; then
	decided=xla:$xla_kind
	[ -z "$no_xla" ] || decided=go:ops_sequential
	export GOMLX_BACKEND="$decided"
fi

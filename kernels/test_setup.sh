#!/usr/bin/env bash
# Tests notebooks/open on a machine that lacks something. Nothing is installed: go and python3 are stand-ins which note
# what they are asked for, in a copy of the scripts (in a folder with a space) and with a PATH of exactly what is needed.
set -uo pipefail
root="$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)"
top="$(mktemp -d)" && top="$(cd "$top" && pwd -P)"
box="$top/a b" calls="$top/calls"
mounted=''
finish() {
	[ -z "$mounted" ] || umount "$mounted"
	rm -rf "$top"
}
trap finish EXIT
mkdir -p "$box/pkg" "$top/home" "$top/tools" "$top/go" "$top/python" "$top/cc"
cp -r "$root/notebooks" "$root/kernels" "$root/go.mod" "$root/go.sum" "$box/" && rm -rf "$box/notebooks/runs"
for tool in bash env cat mkdir rm mv cp ln chmod touch sleep grep sed head tail uname dirname readlink find flock mktemp; do
	ln -s "$(command -v "$tool")" "$top/tools/$tool"
done
for tool in gcc cc; do ! command -v "$tool" >/dev/null || ln -s "$(command -v "$tool")" "$top/cc/$tool"; done

cat >"$top/go/go" <<EOF
#!$(command -v bash)
case "\$1" in
version | env)
	case "\${GOTOOLCHAIN:-auto}" in local) v="\${OWN:-}" ;; *) v="\${FETCHED-\${OWN:-}}" ;; esac
	[ "\$*" != "env GOTOOLCHAIN" ] || [ -z "\${LETS:-}" ] || { echo "\$LETS" && exit; }
	[ -z "\$v" ] || [ "\$2" != GOVERSION ] || { echo "\$v" && shift; }
	[ "\$1" = GOVERSION ] && set -- env "\${@:2}"
	[ \$# -gt 1 ] || exit 0
	GOTOOLCHAIN=local exec "$(command -v go)" "\$@" ;;
install | build)
	echo "\$1" >>"$calls"
	sleep "\${SLOW:-0}"
	[ -z "\${FAIL:-}" ] || { echo "\$FAIL" && exit 1; }
	[ "\$1" = build ] || { mkdir -p "\$GOBIN" && touch "\$GOBIN/gonb" && chmod +x "\$GOBIN/gonb"; }
	[ "\$1" != build ] || [ -z "\${BROKEN:-}" ] || { echo "pkg/x.go:1:2: \$BROKEN" && exit 1; } ;;
esac
EOF
cat >"$top/python/python3" <<EOF
#!$(command -v bash)
case "\$*" in
*version_info*) exit \${OLD:-0} ;;
*python_version*) echo 3.8.1 ;;
'-m venv '*)
	echo venv >>"$calls"
	[ -z "\${NOVENV:-}" ] || { echo "ensurepip is not available" && exit 1; }
	mkdir -p "\$4/bin" && cp "\$0" "\$4/bin/python" ;;
*--target*)
	kind=xla
	case "\$*" in *cuda*) kind=cuda ;; esac
	echo "\$kind" >>"$calls"
	[ -z "\${NOXLA:-}" ] || { echo "connection broken by NewConnectionError" && exit 1; }
	while [ "\$1" != --target ]; do shift; done
	if [ "\$kind" = cuda ]; then
		mkdir -p "\$2/jax_plugins/xla_cuda13" "\$2/nvidia/cu13/bin" "\$2/nvidia/cu13/nvvm" "\$2/nvidia/cu13/lib" "\$2/nvidia/cudnn/lib"
		touch "\$2/jax_plugins/xla_cuda13/xla_cuda_plugin.so" "\$2/nvidia/cu13/bin/ptxas"
	else
		mkdir -p "\$2/lammps_jax_pjrt_cpu" && touch "\$2/lammps_jax_pjrt_cpu/pjrt_c_api_cpu_plugin.so"
	fi ;;
'-m pip '*)
	echo pip >>"$calls"
	[ -z "\${NOPIP:-}" ] || { echo "\$NOPIP" && exit 1; } ;;
'-m jupyterlab '*) echo "lab \$PWD \${*:4} \$GOMLX_BACKEND" ;;
*execute.py*) echo "execute \${*:2}" ;;
esac
EOF
chmod +x "$top/go/go" "$top/python/python3"

passed=0 failed=0
ok() { passed=$((passed + 1)); }
bad() { failed=$((failed + 1)) && printf 'FAIL %s\n' "$@"; }
path="$top/go:$top/python:$top/cc:$top/tools"
open() { env -i PATH="$path" HOME="$top/home" "$@" 2>&1; } # [NAME=VALUE…] COMMAND…
clear() { rm -rf "$box/.cache" "$calls" && touch "$calls"; }
called() { sort "$calls" | uniq -c | while read -r n what; do printf '%s %s ' "$n" "$what"; done; }
# expect NAME STATUS LINES PATTERN [VARIABLE=VALUE…]: open --prepare ends so, its last line matches, and there are so many
# lines (0: any number; those that announce or end a step do not count).
expect() {
	local name="$1" want="$2" lines="$3" pattern="$4" out rc count
	shift 4
	out="$(open "$@" "$box/notebooks/open" --prepare)"
	rc=$?
	count="$(printf '%s\n' "$out" | grep -cvE '(…|: done in [0-9]+ s)$|^$')"
	if [ $rc = "$want" ] && [[ $out =~ $pattern ]] && { [ "$lines" = 0 ] || [ "$count" = "$lines" ]; }; then ok; else
		bad "$name: status $rc instead of $want, $count lines instead of $lines, or no /$pattern/ in:" "$out"; fi
}
last() { # NAME: did the previous command succeed?
	if [ $? = 0 ]; then ok; else bad "$@"; fi
}
same() { if [ "$2" = "$3" ]; then ok; else bad "$1: got '$2', want '$3'"; fi; }

# All is there: everything is done once, and a second call does nothing.
clear
expect "first" 0 0 'compiling the library'
all='1 build 1 install 1 pip 1 venv '
plugin=''
[ "$(uname -sm)" != "Linux x86_64" ] || [ ! -e "$top/cc/gcc" ] || plugin='1 xla '
same "first" "$(called)" "$all$plugin"
begin=$(date +%s%N)
expect "second" 0 0 '^$'
took=$((($(date +%s%N) - begin) / 1000000))
[ $took -lt 500 ]; last "a second call takes $took ms"
same "second" "$(called)" "$all$plugin"
touch "$box/pkg/new.go"
expect "an edited library" 0 0 'compiling'
same "an edited library" "$(called)" "2 build 1 install 1 pip 1 venv $plugin"
echo "# newer" >>"$box/kernels/go.sum"
expect "newer tools" 0 0 'Go kernel'
same "newer tools" "$(called)" "2 build 2 install 1 pip 1 venv $plugin"

# From anywhere, through links, in another place.
ln -s "$box/notebooks/open" "$top/link"
same "through a link" "$(cd / && open "$top/link" --port 1)" "$(backend=go:ops_sequential && [ -z "$plugin" ] || backend=xla:cpu && echo "lab $box/notebooks --port 1 $backend")"
same "--run" "$(cd "$top" && open "$box/notebooks/open" --run x.ipynb)" "execute x.ipynb"
same "--run alone" "$(cd / && open "$box/notebooks/open" --run)" "execute $box/notebooks/00_start.ipynb"
[[ "$(open "$box/notebooks/open" --help)" == *MUSTER_XLA=off* ]]; last "--help"
mv "$box" "$top/moved" && box="$top/moved"
expect "moved" 0 0 'JupyterLab'
mv "$box" "$top/a b" && box="$top/a b"

# Something is missing.
clear
full="$path"
path="$top/python:$top/cc:$top/tools" expect "no Go" 1 1 '^muster: Go is missing: install Go 1[.0-9]+ or newer'
expect "old Go" 1 1 'Go is too old: 1.18, needed is 1[.0-9]+' OWN=go1.18 LETS=
expect "old Go that may not fetch" 1 1 'Go is too old: 1.21.3, .*GOTOOLCHAIN=auto' OWN=go1.21.3 LETS=local
expect "old Go, pinned" 1 1 'Go is too old: 1.24.0.*\(GOTOOLCHAIN=go1.24.0' FETCHED=go1.24.0 LETS=go1.24.0 GOTOOLCHAIN=go1.24.0
expect "old Go that fetches" 0 0 'Go 1.23.1 fetches Go 1' OWN=go1.23.1 FETCHED= LETS=auto
clear
path="$top/go:$top/cc:$top/tools" expect "no Python" 1 1 'python3 is missing: install Python 3.10'
expect "old Python" 1 1 'Python is too old: 3.8.1, needed is 3.10' OLD=1
expect "no venv" 1 1 'apt-get install python3-venv' NOVENV=1
expect "pip without network" 1 1 'no network: JupyterLab' "NOPIP=Retrying after connection broken by NewConnectionError"
expect "pip on a full disk" 1 1 'disk full: JupyterLab' "NOPIP=ERROR: [Errno 28] No space left on device"
same "no XLA without a venv" "$(grep -c xla "$calls")" 0
clear
expect "go without network" 1 1 'no network: the Go kernel' "FAIL=dial tcp: lookup proxy.golang.org: no such host"
expect "go on a full disk" 1 1 'disk full: the Go kernel' "FAIL=write /tmp/x: no space left on device"
expect "go fails" 1 1 'the Go kernel.* failed: something else' "FAIL=something else"
expect "the library does not compile" 1 2 'pkg/x.go:1:2: undefined' BROKEN=undefined
[[ "$(open BROKEN=undefined "$box/notebooks/open")" == *"lab $box/notebooks"* ]]; last "JupyterLab opens although the library does not compile"
if [ -n "$plugin" ]; then
	clear
	expect "XLA without network" 0 2 'no network: XLA.*pure-Go backend' NOXLA=1
	expect "XLA later" 0 0 'XLA.*compiling the library for xla:cpu'
fi
clear
path="$top/go:$top/python:$top/tools" expect "no C compiler" 0 1 'pure-Go backend runs everything, slower: no C compiler'
same "no C compiler" "$(called)" "$all"
clear
expect "unknown XLA" 1 1 'MUSTER_XLA=tpu is unknown: use auto, cuda or off' MUSTER_XLA=tpu
expect "XLA off" 0 1 'pure-Go backend runs everything, slower: MUSTER_XLA=off' MUSTER_XLA=off
same "XLA off" "$(called)" "$all"
expect "XLA off and asked for" 1 1 'GOMLX_BACKEND=xla:cpu cannot run: MUSTER_XLA=off' MUSTER_XLA=off GOMLX_BACKEND=xla:cpu

# CUDA: asked for by name, so what is in its way is an error. Only setting up, perhaps for another machine, needs no driver.
clear
cuda="MUSTER_XLA=cuda"
path="$top/go:$top/python:$top/tools" expect "CUDA without a C compiler" 1 1 'MUSTER_XLA=cuda cannot run: no C compiler' $cuda
expect "CUDA elsewhere" 1 1 'MUSTER_XLA=cuda cannot run: no CUDA plugin for linux/arm64, only for linux/amd64' $cuda GOARCH=arm64 CGO_ENABLED=1
same "CUDA elsewhere" "$(called)" ''
run_open() { open "$@" "$box/notebooks/open" --port 1; }
sourced() { # as the kernel does it
	open $cuda root="$box" bash -c '. "$root/kernels/env.sh" && echo "$GOMLX_BACKEND $PJRT_PLUGIN_LIBRARY_PATH ${LD_LIBRARY_PATH:-}"'
}
if [ -z "$(compgen -G '/dev/nvidia[0-9]*')" ]; then
	same "no NVIDIA driver" "$(run_open $cuda)" 'muster: MUSTER_XLA=cuda cannot run: no NVIDIA driver (no /dev/nvidia0, and nvidia-smi lists no GPU)'
	same "no NVIDIA driver" "$(called)" ''
else
	echo "left out: a machine without NVIDIA's driver, since this one has it"
fi
if [ -n "$plugin" ]; then
	mkdir "$top/nvidia" && printf '#!%s\n' "$(command -v bash)" >"$top/nvidia/nvidia-smi" && chmod +x "$top/nvidia/nvidia-smi"
	expect "CUDA without network" 1 1 'no network: XLA for CUDA' $cuda NOXLA=1
	same "CUDA without a plugin" "$(sourced)" 'muster: MUSTER_XLA=cuda cannot run: no plugin yet; fetch it with MUSTER_XLA=cuda notebooks/open --prepare'
	clear
	expect "CUDA" 0 0 'compiling the library for xla:cuda' $cuda
	same "CUDA" "$(called)" '1 build 1 cuda 1 install 1 pip 1 venv '
	expect "CUDA again" 0 0 '^$' $cuda
	installed="$box/.cache/xla_cuda"
	[ -e "$installed/jax_plugins/xla_cuda13/pjrt_c_api_cuda_plugin.so" ] && [ -e "$installed/jax_plugins/nvidia/bin/ptxas" ] &&
		[ -d "$installed/jax_plugins/nvidia/nvvm/" ]; last "CUDA's folders"
	same "CUDA runs" "$(path="$top/nvidia:$path" && run_open $cuda)" "lab $box/notebooks --port 1 xla:cuda"
	expect "both plugins" 0 0 'XLA for the CPU' # and back again, without fetching anything
	folders="$installed/jax_plugins/xla_cuda13:$box/.cache/xla/lammps_jax_pjrt_cpu"
	libraries="$installed/nvidia/cudnn/lib:$installed/nvidia/cu13/lib"
	same "both plugins" "$(path="$top/nvidia:$path" && sourced)" "xla:cuda $folders $libraries"
	same "the CPU's plugin only" "$(cuda=MUSTER_XLA=auto && sourced)" "xla:cpu $box/.cache/xla/lammps_jax_pjrt_cpu "
fi

# Two at once do the work once; one that is killed leaves nothing that looks finished.
clear
open SLOW=0.5 "$box/notebooks/open" --prepare >"$top/one" &
open SLOW=0.5 "$box/notebooks/open" --prepare >"$top/two"
rc=$?
wait $! && [ $rc = 0 ]; last "two at once:" "$(cat "$top/one" "$top/two")"
same "two at once" "$(called)" "$all$plugin"
for signal in KILL TERM; do
	clear
	env -i PATH="$path" HOME="$top/home" SLOW=2 "$box/notebooks/open" --prepare >/dev/null 2>&1 &
	sleep 0.5
	kill -$signal $! && wait $! 2>/dev/null
	[ ! -e "$box/.cache/bin/gonb" ]; last "half-way after SIG$signal"
	expect "after SIG$signal" 0 0 'done in'
	[ -x "$box/.cache/bin/gonb" ] && [ ! -e "$box/.cache/tmp" ]; last "after SIG$signal"
done

# The disk.
clear
touch "$box/.cache"
expect "no folder" 1 1 "cannot write to $box/.cache"
rm "$box/.cache" && mkdir "$box/.cache"
if mount -t tmpfs -o size=16k tmpfs "$box/.cache" 2>/dev/null; then
	mounted="$box/.cache"
	cat /dev/zero >"$mounted/full" 2>/dev/null
	expect "full" 1 1 'disk full'
	rm "$mounted/full" && mount -o remount,ro "$mounted"
	expect "read-only" 1 1 'cannot write'
	umount "$mounted" && mounted=''
elif [ "$(id -u)" != 0 ]; then
	chmod 555 "$box/.cache"
	expect "read-only" 1 1 'cannot write'
	echo "left out: a full disk, since only root can mount one"
else
	echo "left out: full and read-only disk, since nothing can be mounted here"
fi
[ "$full" = "$path" ] || bad "the tests changed their own PATH"
printf '%d checks passed, %d failed\n' $passed $failed
[ $failed = 0 ]

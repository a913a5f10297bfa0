#!/usr/bin/env bash
# Tests sweeps on a real Slurm: starts one on this machine, with files of its own in a temporary folder, runs the tests of
# pkg/sweep that need it, and ends what it has started. Needs root (slurmd does) and Debian's slurm-wlm and munge; without
# them it says what it leaves out, and fails only in CI.
set -uo pipefail
root="$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)"
PATH="$PATH:/usr/sbin:/sbin"
lacks=''
for tool in slurmctld slurmd sbatch munged; do command -v "$tool" >/dev/null || lacks="Slurm; Debian: apt-get install slurm-wlm munge"; done
[ "$(id -u)" = 0 ] || lacks="${lacks:-to be root}"
if [ -n "$lacks" ]; then
	echo "left out: needs $lacks"
	[ "${CI:-}" != true ]
	exit
fi

top="$(mktemp -d)" && chmod 755 "$top" && mkdir "$top/state" "$top/spool"
host="$(hostname -s)"
read -r ctl_port daemon_port < <(python3 -c '
import socket
s = [socket.socket() for _ in range(2)]
for x in s: x.bind(("", 0))
print(*(x.getsockname()[1] for x in s))')
dd if=/dev/urandom of="$top/munge.key" bs=1024 count=1 status=none && chmod 400 "$top/munge.key"
cat >"$top/slurm.conf" <<EOF
ClusterName=muster
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
SlurmctldPort=$ctl_port
SlurmdPort=$daemon_port
AuthType=auth/munge
AuthInfo=socket=$top/munge.socket,cred_expire=8
CryptoType=crypto/munge
StateSaveLocation=$top/state
SlurmdSpoolDir=$top/spool
SlurmctldPidFile=$top/slurmctld.pid
SlurmdPidFile=$top/slurmd.pid
SlurmctldLogFile=$top/slurmctld.log
SlurmdLogFile=$top/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
SwitchType=switch/none
ReturnToService=2
SlurmdParameters=config_overrides
KillWait=5
SlurmdTimeout=300
SchedulerParameters=sched_interval=2,batch_sched_delay=0
MaxArraySize=1001
NodeName=$host NodeAddr=127.0.0.1 CPUs=4 RealMemory=512 State=UNKNOWN
PartitionName=short Nodes=$host Default=YES MaxTime=00:30:00 State=UP
EOF
export SLURM_CONF="$top/slurm.conf"

# Each daemon stays in the foreground of its own background job: the number to end it by is known.
munged --foreground --force --key-file="$top/munge.key" --socket="$top/munge.socket" --pid-file="$top/munged.pid" \
	--log-file="$top/munged.log" --seed-file="$top/munge.seed" >"$top/munged.out" 2>&1 &
munged=$!
slurmctld='' alive='' # slurmd's number is in a file, for it is started again
finish() {
	[ -z "$slurmctld" ] || scancel --user=root 2>/dev/null
	bash "$top/down" 2>/dev/null
	for pid in $slurmctld $munged; do kill "$pid" && wait "$pid"; done 2>/dev/null
	if [ -n "${KEEP:-}" ]; then echo "kept: $top"; else rm -rf "$top"; fi
}
trap finish EXIT
# down: the node fails: its daemon, what watches its jobs, and the jobs. crash: and comes back.
cat >"$top/down" <<EOF
jobs="\$(scontrol listpids 2>/dev/null | while read -r pid _; do [ "\$pid" = PID ] || echo "\$pid \$(ps -o ppid= -p "\$pid")"; done)"
kill -KILL \$(cat "$top/slurmd.now") \$jobs
true
EOF
cat >"$top/up" <<EOF
setsid slurmd -D -N "$host" >>"$top/slurmd.out" 2>&1 </dev/null &
echo \$! >"$top/slurmd.now"
EOF
# The controller would notice after SlurmdTimeout; the test does not wait for that.
cat >"$top/crash" <<EOF
bash "$top/down"
scontrol update nodename="$host" state=down reason=crash
bash "$top/up"
scontrol update nodename="$host" state=resume 2>/dev/null # unless slurmd has reported back already
true
EOF
for _ in {1..100}; do
	[ ! -S "$top/munge.socket" ] || break
	sleep 0.1
done
slurmctld -D >"$top/slurmctld.out" 2>&1 &
slurmctld=$!
bash "$top/up"
for _ in {1..300}; do
	alive="$(sinfo -h -o %t 2>/dev/null)"
	[ "$alive" != idle ] || break
	sleep 0.1
done
if [ "$alive" != idle ]; then
	echo "Slurm does not start:" && tail -n 5 "$top"/*.out "$top"/*.log
	exit 1
fi
cd "$root" && MUSTER_TEST_CRASH="$top/crash" go test -count=1 -timeout 10m -run 'TestReal' "$@" ./pkg/sweep

#!/usr/bin/env bash
# guard.sh PID waits until the kernel PID ends, or ends it when Jupyter has died, which GoNB does not notice. Then it
# interrupts what the kernel has left, gives it five seconds to save, kills the rest and removes temporary files.
# Without it, killing the server or closing the terminal leaves kernel, gopls and a training cell running for ever.
kernel=$1
state() { # PID: letter of its state and number of its session, from /proc; fails when it is gone
	local line
	read -r line 2>/dev/null <"/proc/$1/stat" || return
	read -r letter _ _ session _ <<<"${line##*) }"
}
alive() { # a zombie is dead: in a container without an init process nobody collects it
	kill -0 "$1" 2>/dev/null || return
	! state "$1" || [ "$letter" != Z ]
}
children() { cat "/proc/$kernel/task/"*/children 2>/dev/null || pgrep -P "$kernel"; }
# A kernel started by Jupyter leads a session, and all that a cell starts stays in it unless it asked for another.
leads=''
state "$kernel" && [ "$session" = "$kernel" ] && leads=yes
left() { # the kernel's children as last seen, and its session, without this guard
	local pid
	for pid in $kids; do [ "$pid" = $$ ] || ! alive "$pid" || echo "$pid"; done
	[ -n "$leads" ] || return
	for pid in /proc/[0-9]*; do
		pid="${pid#/proc/}"
		[ "$pid" != $$ ] && [ "$pid" != "$BASHPID" ] && state "$pid" && [ "$session" = "$kernel" ] && [ "$letter" != Z ] && echo "$pid"
	done
}
kids=''
while alive "$kernel"; do
	now="$(children)" # the running cell and gopls
	kids="${now:-$kids}"
	if [ -n "${JPY_PARENT_PID:-}" ] && ! alive "$JPY_PARENT_PID"; then kill -KILL "$kernel"; fi
	sleep 1
done
# shellcheck disable=SC2046 # several numbers
kill -INT $(left)
for _ in 1 2 3 4 5; do
	[ -n "$(left)" ] || break
	sleep 1
done
# shellcheck disable=SC2046
kill -KILL $(left)
rm -rf "$TMPDIR"

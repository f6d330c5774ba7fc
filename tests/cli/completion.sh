#!/bin/bash
# The bash completion, asked as bash asks it. Needs no privilege.
set -u
top=${TOP:-$(cd "$(dirname "$0")/../.." && pwd)}
mbtrace=${MBTRACE:-${BUILD:-$top/build}/mbtrace}
n=0 failed=0

# shellcheck source=/dev/null
source "$top/tools/dist/mbtrace.bash"

# The answers to a line whose last word is to be completed.
complete_line() { # WORD…
	COMP_WORDS=("$mbtrace" "$@") COMP_CWORD=$#
	_mbtrace
	echo "${COMPREPLY[*]}"
}

expect() { # DESCRIPTION ANSWERS WORD…
	local got
	got=$(complete_line "${@:3}")
	n=$((n + 1))
	if [ "$got" = "$2" ]; then
		echo "ok $n - $1"
	else
		echo "not ok $n - $1 (got $got, want $2)"
		failed=1
	fi
}

expect "commands" "monitor" mon
expect "global options" "--log-level --log-format" --log
expect "a choice of a global option" "warning" --log-level w
expect "options of a command" "--histograms" monitor --his
expect "options behind others" "--alert --alert-file --alert-exit" monitor -d 3s --alert
expect "a choice" "table json csv openmetrics" monitor --format ''
expect "a choice behind a letter" "json" monitor -f j
expect "a choice behind =" "csv" monitor --format = c
expect "a list" "tcp" monitor --source t
expect "a list that has begun" "sched,block" monitor --source sched,b
expect "a file" "$top/Makefile" monitor -o "$top/Makef"
expect "nothing behind a number" "" monitor --top ''
expect "options of another command" "--format" doctor --
expect "a command behind help" "doctor" help doc

got=$(complete_line monitor -p '')
n=$((n + 1))
if [[ " $got " == *" $$ "* ]]; then
	echo "ok $n - a process"
else
	echo "not ok $n - a process (got $got, want $$ among them)"
	failed=1
fi

echo "1..$n"
exit $failed

#!/bin/bash
# Which capabilities monitor needs, exactly; what it says without; what it gives up once it runs.
set -u
TOP=${TOP:-$(git rev-parse --show-toplevel)}
BUILD=${BUILD:-$TOP/build}
MBTRACE=${MBTRACE:-$BUILD/mbtrace}
failed=0
# The budget is not what this is about.
unlimited=(--max-overhead 100 --max-memory 1G)

is() { # WHAT GOT WANT
	if [ "$2" = "$3" ]; then
		echo "ok - $1"
	else
		echo "not ok - $1 (got $2 want $3)"
		failed=1
	fi
}

if [ "$(id -u)" -ne 0 ]; then
	echo "needs root, to become nobody with single capabilities"
	exit 77
fi

# Where nobody can read it too.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 777 "$work"
cp "$MBTRACE" "$work/mbtrace"

# Linux before 5.11 counts maps against RLIMIT_MEMLOCK, which CAP_SYS_RESOURCE may raise.
ulimit -l unlimited 2>/dev/null
locked_memory=$("$MBTRACE" doctor -f json | python3 -c "import json, sys
print(any(f['name'] == 'CAP_SYS_RESOURCE' and f['required'] for f in json.load(sys.stdin)['findings']))")

# Runs as nobody with just these capabilities ("+bpf,+perfmon", or "").
with() { # CAPABILITIES COMMAND…
	local caps=-all${1:+,$1}
	shift
	(cd "$work" && exec setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps="$caps" \
		--ambient-caps="$caps" --bounding-set="$caps" "$@")
}

# The sources' states in a header: "sched attached, …"
states() { # FILE
	python3 -c "import json, sys
sources = json.loads(open(sys.argv[1]).readline())['sources']
print(', '.join(n + ' ' + s['status'] for n, s in sources.items()))" "$1"
}

paranoid=$(cat /proc/sys/kernel/perf_event_paranoid)
"$MBTRACE" monitor "${unlimited[@]}" -f json -n 1 -i 200ms >"$work/root.json" 2>/dev/null
is "root: exit" $? 0
needed=+bpf,+perfmon
[ "$locked_memory" = False ] || needed+=,+sys_resource

# Exactly what is needed is enough, for all that root gets.
with $needed ./mbtrace monitor "${unlimited[@]}" -f json -n 2 -i 200ms >"$work/two.json" 2>"$work/err"
is "nobody with $needed: exit" $? 0
is "nobody with $needed: nothing on standard error" "$(cat "$work/err")" ""
if [ "$paranoid" -le 2 ]; then
	is "nobody with $needed: attached as for root" "$(states "$work/two.json")" "$(states "$work/root.json")"
else
	# Debian's own level 3 keeps perf events for CAP_SYS_ADMIN; all else is as for root.
	is "nobody with $needed: attached as for root but for perf events" \
		"$(states "$work/two.json" | sed 's/fault [a-z]*/fault/')" \
		"$(states "$work/root.json" | sed 's/fault [a-z]*/fault/')"
fi
is "nobody with $needed: names and cgroups of others' processes" "$(python3 - "$work/two.json" <<'PY'
import json, sys
samples = [r for r in map(json.loads, open(sys.argv[1])) if r["type"] == "sample"]
rows = [p for s in samples for p in s["processes"]]
print(len(samples), bool(rows), all(p["comm"] for p in rows), any(p["cgroup"] for p in rows))
PY
)" "2 True True True"

# Less is not: one line that names the two, and exit 4.
for caps in +bpf +perfmon "" +sys_ptrace,+dac_read_search,+net_admin; do
	message=$(with "$caps" ./mbtrace monitor "${unlimited[@]}" -f json -n 1 -i 200ms 2>&1 >"$work/out")
	is "nobody with \"$caps\": exit" $? 4
	is "nobody with \"$caps\": names the capabilities in one line" \
		"$(grep -c 'CAP_BPF and CAP_PERFMON' <<<"$message") $(wc -l <<<"$message")" "1 1"
	is "nobody with \"$caps\": no output" "$(cat "$work/out")" ""
done

# A file with capabilities does as well.
caps=cap_bpf,cap_perfmon
[ "$locked_memory" = False ] || caps+=,cap_sys_resource
if setcap $caps+ep "$work/mbtrace" 2>/dev/null && [ -n "$(getcap "$work/mbtrace")" ]; then
	(cd "$work" && setpriv --reuid 65534 --regid 65534 --clear-groups ./mbtrace monitor "${unlimited[@]}" -f json -n 1 -i 200ms \
		>setcap.json 2>err)
	is "setcap $caps+ep: exit" $? 0
	is "setcap $caps+ep: as nobody with the capabilities" "$(states "$work/setcap.json")" "$(states "$work/two.json")"
	is "setcap $caps+ep: doctor agrees" "$(cd "$work" &&
		setpriv --reuid 65534 --regid 65534 --clear-groups ./mbtrace doctor | tail -n 1)" \
		"\`mbtrace monitor\` works here."
else
	echo "ok - setcap # SKIP this file system keeps no capabilities"
fi

# Once it runs, whoever started it, it has given up the rest.
gave_up() { # WHO PID
	local field status
	# From the first sample on.
	for _ in $(seq 100); do
		[ -s "$work/run.json" ] && [ "$(wc -l <"$work/run.json")" -ge 2 ] && break
		sleep 0.1
	done
	status=$(cat "/proc/$2/status")
	for field in CapPrm:000000c000000000 CapEff:000000c000000000 CapInh:0000000000000000 CapAmb:0000000000000000 \
		NoNewPrivs:1 Seccomp:2; do
		is "$1: ${field%%:*}" "$(sed -n "s/^${field%%:*}:[[:space:]]*//p" <<<"$status")" "${field#*:}"
	done
}
if "$MBTRACE" doctor -f json | grep -q '"name":"seccomp filters","status":"available"'; then
	"$MBTRACE" monitor "${unlimited[@]}" -f json -i 200ms >"$work/run.json" 2>"$work/err" &
	pid=$!
	gave_up root $pid
	kill -INT $pid
	wait $pid
	is "root: ends well in the sandbox" $? 0
	is "root: no refused system call" "$(cat "$work/err")" ""
	"$MBTRACE" monitor "${unlimited[@]}" -f json -i 200ms -n 3 -o "$work/file.json" 2>"$work/err"
	is "root: an output file is put in place in the sandbox" "$? $(wc -l <"$work/file.json") $(cat "$work/err")" "0 5 "
else
	echo "ok - sandbox # SKIP this kernel has no seccomp filters"
fi
exit $failed

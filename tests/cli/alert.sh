#!/bin/bash
# Alert rules against recorded samples: states, records, standard error, the command, exit codes, mistakes.
set -u
TOP=${TOP:-$(git rev-parse --show-toplevel)}
BUILD=${BUILD:-$TOP/build}
MBTRACE=${MBTRACE:-$BUILD/mbtrace}
failed=0

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1

is() { # WHAT GOT WANT
	if [ "$2" = "$3" ]; then
		echo "ok - $1"
	else
		echo "not ok - $1 (got $2 want $3)"
		failed=1
	fi
}

has() { # WHAT TEXT PART
	case $2 in
	*"$3"*) echo "ok - $1" ;;
	*)
		echo "not ok - $1 (got $(head -c 600 <<<"$2") want $3)"
		failed=1
		;;
	esac
}

# Twelve seconds: the machine's CPU use, process 7 "busy" that ends at 9 s and is idle at 5 s, and 8 "calm".
python3 - >samples.jsonl <<'PY'
import json

# null is what could not be measured
util = [20, 95, 96, 97, 80, 60, None, 99, 98, None, 50, 10]
busy = [50, 95, 95, 95, None, 95, 95, 95, 95, "gone", "gone", "gone"]


def source():
    return {"status": "attached", "mode": "tp_btf", "reason": None}


print(json.dumps({
    "type": "header", "schema": 1, "version": "0.1.0",
    "host": {"kernel": "6.1.0", "cpus": 2, "boot_id": "b", "name": "h"},
    "interval_ns": 10**9,
    "filter": {"pids": None, "follow": False, "comm": None, "cgroup": None},
    "sources": {s: source() for s in ("sched", "fault", "block", "tcp")}}))
for i in range(12):
    processes = [{"pid": 8, "ppid": 1, "comm": "calm", "cpu_pct": 1, "cpu_ns": 10**7, "start_ns": 2,
                  "state": "sleeping"}]
    if isinstance(busy[i], int):
        processes.append({"pid": 7, "ppid": 1, "comm": "busy", "cpu_pct": busy[i],
                          "cpu_ns": busy[i] * 10**7, "start_ns": 1,
                          "state": "exited" if i == 8 else "running"})
    print(json.dumps({
        "type": "sample", "time": f"2026-01-01T00:00:{i + 1:02}.000Z",
        "elapsed_ns": (i + 1) * 10**9, "interval_ns": 10**9,
        "system": {"cpu": {"util_pct": util[i]}},
        "processes": processes,
        "trust": {"events": 1, "lost": 0, "map_full": 0, "discarded": 0, "unattributed": 0,
                  "rows_hidden": 0, "shed": [], "complete": True},
        "self": {"cpu_ns": 1, "bpf_ns": None, "rss_bytes": 1, "map_bytes": 1}}))
PY

replay() { # OPTION…: out, err and status are what came of it
	timeout 60 "$MBTRACE" monitor --replay samples.jsonl --format json "$@" >out 2>err
	status=$?
}

# The alert records of out: second, state, process, value, reason, culprits.
alerts() {
	python3 -c '
import json
for line in open("out"):
    r = json.loads(line)
    if r["type"] != "alert":
        continue
    p = r.get("process") or {}
    words = [str(int(r["time"][17:19])), r["state"], p.get("comm"), r["value"], r.get("reason")]
    words += [c["comm"] for c in r.get("culprits") or []]
    print(" ".join(str(w) for w in words if w is not None), end="; ")'
}

replay
is "a replay without rules: exit 0" "$status" 0
is "without rules there are no alerts" "$(alerts)" ""

replay --alert 'system.cpu.util_pct > 90'
is "a system rule: fires once, resolves, has no data, names the culprit" "$(alerts)" \
	"2 firing 95 busy calm; 5 resolved 80 cleared; 7 nodata; 8 firing 99 busy calm; 10 nodata; 11 resolved 50 cleared; "
is "without --alert-exit it exits 0" "$status" 0
has "what fires is told on standard error" "$(cat err)" "system.cpu.util_pct > 90"

replay --alert 'hot: system.cpu.util_pct > 90 for 2s clear < 70' --alert-exit
is "for and clear" "$(alerts)" "2 pending 95; 4 firing 97 busy calm; 6 resolved 60 cleared; 7 nodata; 8 pending 99; 10 nodata; "
is "--alert-exit exits 3 when one fired" "$status" 3
replay --alert 'hot: system.cpu.util_pct > 99.5' --alert-exit
is "--alert-exit exits 0 when none fired" "$status" 0

replay --alert 'busy: process.cpu_pct > 90'
is "a process rule: idle clears, the end resolves" "$(alerts)" \
	"2 firing busy 95; 5 resolved busy 0 cleared; 6 firing busy 95; 9 resolved busy 95 process ended; "
replay --alert 'process[comm=calm].cpu_pct > 0.5'
is "a filter, and the end of the run" "$(alerts)" "1 firing calm 1; 12 resolved calm 1 end of run; "
replay --alert 'process[comm=c*][pid!=8].cpu_pct > 0.5'
is "filters must all match" "$(alerts)" ""

is "the summary counts what fired" "$(replay --alert 'system.cpu.util_pct > 90' &&
	python3 -c 'import json; print([json.loads(l) for l in open("out")][-1]["alerts_fired"])')" 2
if [ -f "$TOP/tests/schema/check.py" ]; then
	verdict=$("$TOP/tests/schema/check.py" out 2>&1)
	is "the records are as the schema says: $verdict" "$?" 0
fi

printf '# rules\n\nhot: system.cpu.util_pct > 90 # the machine\nbusy: process.cpu_pct > 90 for 20s\n' >rules
replay --alert-file rules --alert 'trust.lost > 0'
is "rules of a file and of the command line" "$(alerts | tr ';' '\n' | grep -c ' firing')" 2

# Mistakes: exit 2, a caret, near matches; nothing is run.
mistake() { # WHAT PART OPTION…
	local what=$1 part=$2
	shift 2
	replay "$@"
	is "$what: exit 2" "$status" 2
	has "$what: says what" "$(cat err)" "$part"
	is "$what: nothing on standard output" "$(wc -c <out)" 0
}
mistake "no such metric" "did you mean process.cpu_pct" --alert 'process.cpu_pc > 90'
has "a caret stands below the place" "$(cat err)" "    process.cpu_pc > 90
    ^"
mistake "a unit that does not fit" '"M" does not fit' --alert 'system.sched.runq.p99 > 10M'
has "the caret is below the unit" "$(cat err)" "    system.sched.runq.p99 > 10M
                              ^"
mistake "no operator" "expected one of" --alert 'process.cpu_pct'
mistake "two rules of one name" 'a second rule "a"' --alert 'a: trust.lost > 0' --alert 'a: trust.lost > 1'
printf 'a: trust.lost > 0\n\n  b: trust.lst > 0\n' >bad.rules
mistake "a mistake in a file" "bad.rules:3:6: no metric \"trust.lst\"" --alert-file bad.rules
mistake "a command with an open quote" "never closed" --alert 'trust.lost > 0' --on-alert "mail 'x"
mistake "a command that does not exist" "no-such-command" --alert 'trust.lost > 0' --on-alert no-such-command

# The command.
cat >hook <<'SH'
#!/bin/sh
read -r json
printf '%s %s %s %s|%s\n' "$MBTRACE_ALERT_RULE" "$MBTRACE_ALERT_STATE" "$MBTRACE_ALERT_PID" "$MBTRACE_ALERT_VALUE" "$json" >>"$1"
SH
chmod +x hook
replay --alert 'busy: process.cpu_pct > 90' --on-alert "'$work/hook' \"$work/calls\""
is "the command ran for each firing and each resolving, in order" "$(cut -d'|' -f1 calls | tr '\n' ';')" \
	"busy firing 7 95;busy resolved 7 0;busy firing 7 95;busy resolved 7 95;"
is "it had the alert as JSON" \
	"$(cut -d'|' -f2 calls | python3 -c '
import json, sys
print([(r["type"], r["rule"], r["state"]) for r in map(json.loads, sys.stdin)] ==
      [("alert", "busy", s) for s in ("firing", "resolved", "firing", "resolved")])')" True
replay --alert 'busy: process.cpu_pct > 90' --on-alert false --alert-exit
is "a command that fails changes nothing" "$status" 3
printf '#!/bin/sh\necho $$ >>"%s/pids"\nexec sleep 1000\n' "$work" >hang
chmod +x hang
replay --alert 'busy: process.cpu_pct > 90' --on-alert "$work/hang"
is "a command that hangs does not keep the run" "$status" 0
left=0
while read -r pid; do
	# A zombie is not ours to reap.
	if [ -d "/proc/$pid" ] && ! grep -q '^State:.*Z' "/proc/$pid/status" 2>/dev/null; then left=$((left + 1)); fi
done <pids
is "what it held up is ended with the run" "$(wc -l <pids) run, $left left" "1 run, 0 left"
exit $failed

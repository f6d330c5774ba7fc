#!/usr/bin/env bash
# monitor and the world around it: bad input, outputs that fail, signals, and what it leaves behind.
# timeout: 240
# must-run
cd "$(dirname "$0")/../.." || exit 1
TOP=${TOP:-$PWD}
BUILD=${BUILD:-$TOP/build}
MBTRACE=${MBTRACE:-$BUILD/mbtrace}
[ "$(id -u)" = 0 ] || {
	echo "skipped: needs root"
	exit 77
}
dir=$(mktemp -d)
failed=0
trap 'umount "$dir/small" 2>/dev/null; rm -rf "$dir"' EXIT

ok() { echo "ok - $1"; }
bad() {
	echo "not ok - $1 ($2)"
	failed=1
}
# holds WHAT COMMAND...: the command succeeds
holds() {
	local what=$1
	shift
	if "$@"; then ok "$what"; else bad "$what" "$(head -c 300 "$dir/err" 2>/dev/null)"; fi
}
# check WHAT GOT WANT
check() { if [ "$2" = "$3" ]; then ok "$1"; else bad "$1" "got $2, want $3"; fi; }
# refuses WHAT CODE PATTERN ARGS...: exit code, and one line on standard error that matches
refuses() {
	local what=$1 code=$2 pattern=$3 got
	shift 3
	timeout 20 "$MBTRACE" "$@" >"$dir/out" 2>"$dir/err" </dev/null
	got=$?
	check "$what: exit $code" $got "$code"
	holds "$what: says why" grep -q -- "$pattern" "$dir/err"
	check "$what: nothing on standard output" "$(wc -c <"$dir/out")" 0
}
# programs [PID]: how many programs that process holds; without PID, how many are held by nobody
programs() {
	python3 - "$@" <<'EOF'
import glob, json, re, subprocess, sys
held = set()
for path in glob.glob(f"/proc/{sys.argv[1] if len(sys.argv) > 1 else '[0-9]*'}/fdinfo/*"):
    try:
        held.update(int(i) for i in re.findall(r"^prog_id:\s*(\d+)", open(path).read(), re.M))
    except OSError:
        pass
every = {p["id"] for p in json.loads(subprocess.check_output(["bpftool", "prog", "show", "-j"]))}
print(len(held & every) if len(sys.argv) > 1 else len(every - held))
EOF
}

# --- used wrongly ---
refuses "unknown command" 2 "did you mean monitor" monitr
refuses "no command" 2 "usage" --quiet
refuses "unknown option" 2 "did you mean --follow" monitor --folow
refuses "missing value" 2 "needs TIME" monitor --interval
refuses "flag with a value" 2 "takes no value" monitor --follow=3
refuses "operand" 2 "takes nothing else" monitor now
refuses "unknown source" 2 "sched, fault, block, tcp" monitor --source disk
refuses "unknown sort key" 2 "did you mean cpu_pct" monitor --sort cpu_pc
refuses "unknown format" 2 "table, json, csv, openmetrics" monitor -f xml
refuses "interval too short" 2 "less than 100ms" monitor -i 50ms
refuses "interval too long" 2 "more than" monitor -i 25h
refuses "interval of nonsense" 2 "not a duration" monitor -i soon
refuses "zero samples" 2 "less than 1" monitor -n 0
refuses "follow without pid" 2 "goes with --pid" monitor --follow
refuses "pid of nonsense" 2 "not a process id" monitor -p self
refuses "pid that does not exist" 1 "no process 4194303" monitor -p 4194303
MBTRACE_MONITOR_INTERVAL=never refuses "environment" 2 "MBTRACE_MONITOR_INTERVAL" monitor -d 1
printf '[monitor]\nintervall = 2s\n' >"$dir/bad.conf"
refuses "unknown key in a file" 2 "did you mean interval" --config "$dir/bad.conf" monitor -d 1
refuses "missing file of options" 2 "No such file" --config "$dir/none.conf" monitor -d 1
refuses "folder of options" 2 "Is a directory" --config "$dir" monitor -d 1
refuses "endless file of options" 2 "too large" --config /dev/zero monitor -d 1

# --- precedence: command line, environment, file ---
printf '[monitor]\ninterval = 300ms\nformat = json\n' >"$dir/good.conf"
interval() { python3 -c 'import json,sys; print(json.loads(sys.stdin.readline())["interval_ns"])'; }
check "file" "$("$MBTRACE" --config "$dir/good.conf" monitor -n 1 2>/dev/null | interval)" 300000000
check "environment before file" "$(MBTRACE_MONITOR_INTERVAL=200ms "$MBTRACE" --config "$dir/good.conf" monitor -n 1 2>/dev/null | interval)" 200000000
check "command line before environment" "$(MBTRACE_MONITOR_INTERVAL=200ms "$MBTRACE" --config "$dir/good.conf" monitor -n 1 -i 100ms 2>/dev/null | interval)" 100000000

# --- outputs ---
refuses "output in no folder" 1 "cannot write to" monitor -d 1 -o "$dir/none/x"
refuses "output is a folder" 1 "cannot write to" monitor -d 1 -o "$dir"
mkdir "$dir/small"
mount -t tmpfs -o size=64k tmpfs "$dir/small"
timeout 30 "$MBTRACE" monitor -d 20 -i 100ms -f json -o "$dir/small/full.json" 2>"$dir/err"
check "disk full: exit 1" $? 1
holds "disk full: says so" grep -q "No space left" "$dir/err"
if [ -s "$dir/small/full.json" ] && python3 -c 'import json,sys; [json.loads(l) for l in open(sys.argv[1])]' "$dir/small/full.json"; then
	ok "disk full: what was written is whole lines"
else
	bad "disk full: what was written is whole lines" "$(tail -c 100 "$dir/small/full.json")"
fi
umount "$dir/small"
(
	ulimit -f 8
	exec timeout 30 "$MBTRACE" monitor -d 20 -i 100ms -f json -o "$dir/limited.json" 2>"$dir/err"
)
check "file size limit: exit 1" $? 1
check "file size limit: whole lines, nothing else left" "$(echo "$dir"/limited.json*) $(tail -c 1 "$dir/limited.json" | wc -l)" "$dir/limited.json 1"
{ timeout 20 "$MBTRACE" monitor -d 10 -i 100ms -f json 2>"$dir/err"; echo $? >"$dir/code"; } | head -1 >/dev/null
check "closed pipe: exit 0" "$(cat "$dir/code")" 0
check "closed pipe: quiet" "$(wc -c <"$dir/err")" 0
"$MBTRACE" monitor -n 1 -i 100ms >/dev/full 2>"$dir/err"
check "device full: exit 1" $? 1
TERM=dumb "$MBTRACE" monitor -n 2 -i 100ms >"$dir/out" 2>"$dir/err"
check "TERM=dumb: exit 0" $? 0
check "TERM=dumb: no escapes" "$(grep -c "$(printf '\033')" "$dir/out")" 0
LC_ALL=xx_YY.broken "$MBTRACE" monitor -n 1 -i 100ms >"$dir/out" 2>"$dir/err"
check "broken locale: exit 0" $? 0
"$MBTRACE" monitor -n 1 -i 100ms <&- >"$dir/out" 2>"$dir/err"
check "no standard input: exit 0" $? 0

# --- limits ---
(ulimit -S -n 20 && exec "$MBTRACE" monitor -n 1 -i 100ms -f json) >"$dir/out" 2>"$dir/err"
check "few open files allowed, more permitted: all sources run" "$? $(grep -c absent "$dir/out") $(wc -c <"$dir/err")" "0 0 0"
(ulimit -n 20 && exec setpriv --bounding-set=-sys_resource "$MBTRACE" monitor -n 1 -i 100ms -f json) >"$dir/out" 2>"$dir/err"
check "few open files permitted: exit 1" $? 1
holds "few open files permitted: says what is needed" grep -q "20 open files are allowed.*ulimit -n" "$dir/err"

# --- processes ---
sleep 0.7 &
timeout 20 "$MBTRACE" monitor -p $! -i 100ms -f json >"$dir/out" 2>"$dir/err"
check "pid that ends: exit 0" $? 0
holds "pid that ends: a word" grep -q "has ended" "$dir/err"
check "pid that ends: summary" "$(tail -1 "$dir/out" | grep -c '"summary"')" 1

# With --pid others have no rows, even if they connect and write: these are told of by other probes than the task pass.
sleep 60 &
pid=$!
timeout 60 "$MBTRACE" monitor -p $pid -i 200ms -f json --max-overhead 0 >"$dir/out" 2>"$dir/err" &
monitor=$!
for _ in $(seq 200); do
	grep -q '"sample"' "$dir/out" && break
	sleep 0.1
done
python3 - "$dir/written" <<'EOF'
import os, socket, sys
listener = socket.create_server(("127.0.0.1", 0))
for i in range(15):
    with open(sys.argv[1], "wb", buffering=0) as f:
        f.write(bytes(65536))
        os.fsync(f.fileno())
    client = socket.create_connection(listener.getsockname())
    client.sendall(b"x" * 1000)
    client.close()
    listener.accept()[0].close()
EOF
kill -INT $monitor
wait $monitor
check "pid: the rows are its own" "$(python3 -c '
import json, sys
rows = {p["pid"] for line in open(sys.argv[1]) for p in json.loads(line).get("processes", [])}
print(*sorted(rows - {int(sys.argv[2])}))' "$dir/out" $pid)" ""
check "pid: the system is all of it" "$(python3 -c '
import json, sys
print(json.loads(open(sys.argv[1]).readlines()[-1])["system"]["tcp"]["opened"] >= 15)' "$dir/out")" True
kill $pid
wait

tid=$(python3 -c '
import os, sys, threading, time
t = threading.Thread(target=time.sleep, args=(9,), daemon=True)
t.start()
print(t.native_id, flush=True)
sys.stdout.close()
os.close(1)
t.join()' & sleep 0.3)
refuses "pid of a thread" 1 "is a thread" monitor -p "$tid" -d 1

# --- a kernel without BTF ---
: >"$dir/empty"
unshare -m sh -c "mount --bind $dir/empty /sys/kernel/btf/vmlinux && exec $MBTRACE monitor -d 1" >"$dir/out" 2>"$dir/err"
check "no BTF: exit 4" $? 4
holds "no BTF: says what to do" grep -q "CONFIG_DEBUG_INFO_BTF" "$dir/err"

# --- signals ---
for delay in 0.03 0.1 0.2; do
	"$MBTRACE" monitor -d 20 -f json -o "$dir/early.json" 2>/dev/null &
	pid=$!
	sleep $delay
	kill -TERM $pid
	wait $pid
done
check "SIGTERM while it starts: no temporary file is left" "$(find "$dir" -name 'early.json.*' | wc -l)" 0
"$MBTRACE" monitor -i 1s -f json -o "$dir/int.json" 2>/dev/null &
pid=$!
sleep 1.6
kill -INT $pid
wait $pid
check "SIGINT: exit 0" $? 0
holds "SIGINT: last interval and summary" python3 - "$dir/int.json" <<'EOF'
import json, sys
lines = [json.loads(l) for l in open(sys.argv[1])]
samples = [l for l in lines if l["type"] == "sample"]
sys.exit(not (lines[-1]["type"] == "summary" and len(samples) == 2 and samples[1]["interval_ns"] < 990_000_000))
EOF
(trap '' HUP && exec "$MBTRACE" monitor -i 100ms -n 12 -f json) >"$dir/out" 2>/dev/null &
pid=$!
sleep 0.8
kill -HUP $pid
wait $pid
check "SIGHUP that was set to be ignored is" "$(grep -c '"sample"' "$dir/out")" 12
"$MBTRACE" monitor -i 500ms -n 4 -f json >"$dir/out" 2>/dev/null &
pid=$!
sleep 1
kill -STOP $pid
sleep 5
kill -CONT $pid
wait $pid
holds "SIGSTOP for 5 s: intervals are true" python3 - "$dir/out" <<'EOF'
import json, sys
samples = [l for l in map(json.loads, open(sys.argv[1])) if l["type"] == "sample"]
total = sum(s["interval_ns"] for s in samples)
longest = max(s["interval_ns"] for s in samples)
sys.exit(not (longest > 4.5e9 and total == samples[-1]["elapsed_ns"] and all(0 < s["interval_ns"] < 60e9 for s in samples)))
EOF

# --- what is left behind ---
before=$(programs)
"$MBTRACE" monitor -n 3 -i 200ms -f json >"$dir/a" 2>/dev/null &
"$MBTRACE" monitor -n 3 -i 200ms -f json >"$dir/b" 2>/dev/null
check "two at once: the second works" $? 0
wait $!
check "two at once: the first works" $? 0
"$MBTRACE" monitor -d 60 >/dev/null 2>&1 &
pid=$!
sleep 1
during=$(programs $pid)
holds "programs are loaded while it runs" [ "$during" -gt 0 ]
kill -KILL $pid
wait $pid 2>/dev/null
# Programs are freed a moment after their last user.
none_left() {
	local now
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		now=$(programs)
		[ "$now" -le "$before" ] && break
		sleep 0.3
	done
	if [ "$now" -le "$before" ]; then ok "$1"; else bad "$1" "$now, before $before"; fi
}
none_left "SIGKILL leaves no program"
starts=20
[ -n "$LONG" ] && starts=100
for _ in $(seq $starts); do "$MBTRACE" monitor -n 1 -i 100ms -f json >/dev/null 2>&1 || failed=1; done
none_left "$starts starts leave no program"
exit $failed

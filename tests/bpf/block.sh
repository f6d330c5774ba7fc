#!/bin/bash
# The block source of the whole program against /sys/block/*/stat, /proc/PID/io and a workload of known answers.
#
# timeout: 180
# shellcheck disable=SC2317,SC2119,SC2120 # finish is called by the trap; begin may have options
set -u
TOP=${TOP:-$(git rev-parse --show-toplevel)}
BUILD=${BUILD:-$TOP/build}
MBTRACE=${MBTRACE:-$BUILD/mbtrace}
PATH=$PATH:/usr/sbin:/sbin
disk=$BUILD/tests/workload/disk
n=0 failed=0 monitor='' loop='' zram=''
dir=$(mktemp -d)

finish() {
	[ -z "$monitor" ] || kill "$monitor" 2>/dev/null
	{ exec 9>&-; } 2>/dev/null
	[ -z "$loop" ] || losetup -d "$loop"
	[ -z "$zram" ] || echo "$zram" >/sys/class/zram-control/hot_remove
	rm -rf "$dir"
}
trap finish EXIT

skip() {
	echo "$1"
	exit 77
}

[ "$(id -u)" = 0 ] || skip "needs root"
[ -e /dev/loop-control ] || modprobe -q loop
truncate -s 64M "$dir/image"
loop=$(losetup -f --show "$dir/image" 2>/dev/null) || skip "needs loop devices"
exec 9<>"$loop" # so that no other close is the last, which writes the cache out

ok() { # DESCRIPTION GOT WANTED
	n=$((n + 1))
	if [ "$2" = "$3" ]; then
		echo "ok $n - $1"
	else
		echo "not ok $n - $1 (got $2, want $3)"
		failed=1
	fi
}

# Starts a monitor and waits until it is attached; its records go to $dir/samples.
begin() { # [OPTION…]
	: >"$dir/samples"
	"$MBTRACE" monitor --source block -f json -i 1 "$@" >"$dir/samples" 2>"$dir/said" </dev/null &
	monitor=$!
	for _ in {1..200}; do
		! grep -q '"type":"header"' "$dir/samples" || return 0
		sleep 0.1
	done
	cat "$dir/said"
	echo "not ok - the monitor starts"
	exit 1
}

# Ends it; the summary is then complete.
end() {
	kill -INT "$monitor"
	wait "$monitor"
	ok "the monitor ends well" "$?" 0
	monitor=''
}

# Something of the summary, by a Python expression over s (the record), d (the device of this name), p (processes by pid).
summary() { # DEVICE EXPRESSION
	/usr/bin/python3 - "$dir/samples" "$1" "$2" <<'END'
import json, sys
records = [json.loads(line) for line in open(sys.argv[1])]
s = records[-1]
assert s["type"] == "summary", s
d = {r["dev"]: r for r in s["system"]["block"]["devices"]}.get(sys.argv[2], {})
p = {r["pid"]: r for r in s["processes"]}
header = records[0]
print(eval(sys.argv[3]))
END
}

# A member of what a workload printed.
said() { # JSON MEMBER
	/usr/bin/python3 -c 'import json, sys; print(json.loads(sys.argv[1])[sys.argv[2]])' "$1" "$2"
}

# reads, bytes, writes, bytes, discards, bytes, flushes since the counts of before.
counted() { # DEVICE BEFORE
	# shellcheck disable=SC2046,SC2086 # words
	set -- $(cat "/sys/block/$1/stat") $2
	local now=("${@:1:17}") was=("${@:18}")
	echo $((now[0] - was[0])) $(((now[2] - was[2]) * 512)) $((now[4] - was[4])) $(((now[6] - was[6]) * 512)) \
		$((now[11] - was[11])) $(((now[13] - was[13]) * 512)) $((now[15] - was[15]))
}
device_counts='d["reads"], d["read_bytes"], d["writes"], d["write_bytes"], d["discards"], d["discard_bytes"], d["flushes"]'
tuple() { tr -d '(),'; }

name=${loop#/dev/}
# Once beforehand: the program and what it links are in the page cache then.
"$disk" read "$loop" 1 4096 >/dev/null

# --- sequential reads, and who did them ---
before=$(cat "/sys/block/$name/stat")
begin
reader=$("$disk" read "$loop" 1000 4096)
end
ok "sequential: the device's counts are the kernel's" "$(summary "$name" "$device_counts" | tuple)" \
	"$(counted "$name" "$before")"
pid=$(said "$reader" pid)
ok "sequential: the process's requests" "$(summary "$name" "p[$pid]['reads'], p[$pid]['writes']")" "(1000, 0)"
ok "sequential: its bytes are those of /proc/PID/io" "$(summary "$name" "p[$pid]['read_bytes']")" \
	"$(said "$reader" read_bytes)"
ok "sequential: every request has a latency" \
	"$(summary "$name" "d['latency']['count'] - d['reads'], p[$pid]['io_latency']['count']")" "(0, 1000)"
ok "sequential: the device's requests follow each other" "$(summary "$name" 'd["sequential_pct"] > 99')" True
ok "sequential: nothing is missing" \
	"$(summary "$name" '[s["trust"][k] for k in ("lost", "map_full", "discarded")], s["trust"]["complete"]')" \
	"([0, 0, 0], True)"

# --- everything at once ---
before=$(cat "/sys/block/$name/stat")
begin
# shellcheck disable=SC2034 # read by name
random=$("$disk" randread "$loop" 2000 4096)
writer=$("$disk" write "$loop" 300 16384)
# shellcheck disable=SC2034
threads=$("$disk" threads "$loop" 400 4096)
"$disk" fsync "$loop" 20 4096 >/dev/null
"$disk" discard "$loop" 5 1048576 >/dev/null
end
ok "mixed: the device's counts are the kernel's" "$(summary "$name" "$device_counts" | tuple)" \
	"$(counted "$name" "$before")"
ok "mixed: there were flushes and discards" "$(summary "$name" 'd["flushes"] >= 20, d["discards"]')" "(True, 5)"
for what in random writer threads; do
	pid=$(said "${!what}" pid)
	reads=$(said "${!what}" requests) writes=0
	[ $what != writer ] || writes=$reads reads=0
	ok "mixed: requests of the $what process" "$(summary "$name" "p[$pid]['reads'], p[$pid]['writes']")" \
		"($reads, $writes)"
	ok "mixed: bytes of the $what process, as in /proc/PID/io" \
		"$(summary "$name" "p[$pid]['read_bytes'], p[$pid]['write_bytes']")" \
		"($(said "${!what}" read_bytes), $(said "${!what}" write_bytes))"
done
ok "mixed: the system's reads are at least the device's" \
	"$(summary "$name" 's["system"]["block"]["reads"] >= d["reads"] > 0')" True

# --- written by the kernel, long after ---
before=$(cat "/sys/block/$name/stat")
begin
writer=$("$disk" buffered "$loop" 64 4096)
pid=$(said "$writer" pid)
expire=$(cat /proc/sys/vm/dirty_expire_centisecs) wake=$(cat /proc/sys/vm/dirty_writeback_centisecs)
echo 1 >/proc/sys/vm/dirty_expire_centisecs
echo 10 >/proc/sys/vm/dirty_writeback_centisecs
for _ in {1..100}; do
	written=$(counted "$name" "$before" | cut -d ' ' -f 4)
	[ "$written" -lt $((64 * 4096)) ] || break
	sleep 0.1
done
echo "$expire" >/proc/sys/vm/dirty_expire_centisecs
echo "$wake" >/proc/sys/vm/dirty_writeback_centisecs
end
ok "writeback: the device's counts are the kernel's" "$(summary "$name" "$device_counts" | tuple)" \
	"$(counted "$name" "$before")"
ok "writeback: it is booked to the kernel" \
	"$(summary "$name" 'p[0]["comm"], p[0]["writes"] >= d["writes"] > 0, p[0]["io_latency"]["count"] >= d["writes"]')" \
	"('kernel writeback', True, True)"
ok "writeback: the process made it necessary and wrote nothing" \
	"$(summary "$name" "p[$pid]['write_bytes'], p[$pid]['writes']")" "($((64 * 4096)), 0)"

# --- the disk that the temporary folder is on, which others use too ---
number=$(stat -c '%Hd:%Ld' "$dir/image")
real=$(basename "$(readlink "/sys/dev/block/$number")")
[ ! -e "/sys/dev/block/$number/partition" ] || real=$(basename "$(dirname "$(readlink "/sys/dev/block/$number")")")
if [ -n "$real" ] && [ -d "/sys/block/$real/mq" ]; then
	truncate -s 4M "$dir/file"
	"$disk" write "$dir/file" 512 8192 >/dev/null
	sync "$dir/file"
	outer=$(cat "/sys/block/$real/stat")
	begin
	inner=$(cat "/sys/block/$real/stat")
	reader=$("$disk" randread "$dir/file" 256 8192)
	writer=$("$disk" write "$dir/file" 256 8192)
	sync -d "$dir/file"
	at_least=$(counted "$real" "$inner")
	end
	at_most=$(counted "$real" "$outer")
	# shellcheck disable=SC2046,SC2086 # words
	ok "real disk $real: every count is between the kernel's just inside and just outside of the run" \
		"$(/usr/bin/python3 -c 'import sys; v = list(map(int, sys.argv[1:])); k = len(v) // 3
print(all(low <= it <= high for low, it, high in zip(v[:k], v[k:2 * k], v[2 * k:])) or v)' \
			$at_least $(summary "$real" "$device_counts" | tuple) $at_most)" True
	pid=$(said "$reader" pid)
	ok "real disk $real: the reader's requests" "$(summary "$real" "p[$pid]['reads'] >= 256")" True
	ok "real disk $real: its bytes are those of /proc/PID/io" "$(summary "$real" "p[$pid]['read_bytes']")" \
		"$(said "$reader" read_bytes)"
	pid=$(said "$writer" pid)
	ok "real disk $real: the writer's requests" "$(summary "$real" "p[$pid]['writes'] >= 256")" True
else
	echo "ok $((n += 1)) - real disk # SKIP ${real:-what is below $dir} has no requests of its own"
fi

# --- a device without requests ---
[ -e /sys/class/zram-control ] || modprobe -q zram
zram=$(cat /sys/class/zram-control/hot_add 2>/dev/null)
if [ -n "$zram" ] && echo 16M >"/sys/block/zram$zram/disksize"; then
	[ -b "/dev/zram$zram" ] || mknod "/dev/zram$zram" b "$(cut -d: -f1 "/sys/block/zram$zram/dev")" \
		"$(cut -d: -f2 "/sys/block/zram$zram/dev")"
	before=$(cat "/sys/block/zram$zram/stat")
	begin
	"$disk" write "/dev/zram$zram" 100 4096 >/dev/null
	"$disk" read "/dev/zram$zram" 200 4096 >/dev/null
	end
	ok "zram: its counts are the kernel's" "$(summary "zram$zram" "$device_counts" | tuple)" \
		"$(counted "zram$zram" "$before")"
	ok "zram: its times are not known" "$(summary "zram$zram" 'd["latency"], d["queue"], d["sequential_pct"]')" \
		"(None, None, None)"
	echo 1 >"/sys/block/zram$zram/reset"
else
	echo "ok $((n += 1)) - zram # SKIP no zram device can be added here"
fi

# --- room for the histogram of one process only ---
export MBTRACE_TEST_SLOTS=1
before=$(cat "/sys/block/$name/stat")
begin
"$disk" read "$loop" 10 4096 >/dev/null
"$disk" read "$loop" 10 4096 >/dev/null
end
unset MBTRACE_TEST_SLOTS
ok "one slot: the device's counts are still the kernel's" "$(summary "$name" "$device_counts" | tuple)" \
	"$(counted "$name" "$before")"
ok "one slot: the loss is said" "$(summary "$name" 's["trust"]["map_full"] >= 10, s["trust"]["complete"]')" "(True, False)"

echo "1..$n"
exit $failed

#!/bin/bash
# What is tried on each kernel of `make vm-test`, inside the VM: tools/vm starts it.
set -u
n=0 failed=0
out=$(mktemp -d)

result() { # DESCRIPTION, with the status of the command before
	local status=$?
	n=$((n + 1))
	if [ $status -eq 0 ]; then
		echo "ok $n - $1"
	else
		echo "not ok $n - $1"
		failed=1
	fi
	return $status
}

[ -x "$MBTRACE" ]
result "mbtrace is built" || exit 1

# Which hooks there are, and how, is for whoever reads this.
"$MBTRACE" doctor
result "doctor finds that monitor would work"

"$MBTRACE" monitor -d 3 -i 1 -f json >"$out/samples" 2>"$out/said"
result "monitor runs for three seconds" || tail -n 40 "$out/said"

/usr/bin/python3 - "$out/samples" <<'END'
import json, sys
records = [json.loads(line) for line in open(sys.argv[1])]
kinds = [record["type"] for record in records]
for name, source in records[0]["sources"].items():
    print("#", name, *(source.get(key) or "-" for key in ("status", "mode", "reason")))
    assert source["status"] != "absent", f"{name} is absent"
assert kinds[0] == "header" and kinds[-1] == "summary" and kinds.count("sample") >= 2, kinds
assert records[-1]["system"]["sched"]["switches"] > 0, "no switch was seen"
END
result "its header, samples and summary are there, and every source is attached"

# The truths, in the short form of each suite: a VM without KVM is ten times slower. What is about the program and not
# about the kernel (fallbacks made by hiding types, losses, thousands of connections) is left to `make test`.
QUICK=1 tests/run '=bpf/sched' '=bpf/fault' '=bpf/block_test' '=bpf/tcp_test' '=bpf/sandbox_test' || failed=1
exit $failed

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

# The suites that need a kernel; in tests/run they have their time limits.
if compgen -G "tests/bpf/*.sh" >/dev/null || compgen -G "$BUILD/tests/bpf/*_test" >/dev/null; then
	tests/run bpf/ || failed=1
fi
exit $failed

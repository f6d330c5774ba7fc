#!/usr/bin/env bash
# The same truths where the kernel lacks task storage (5.10), and where it lacks the tracepoint's type.
# must-run
cd "$(dirname "$0")/../.." || exit 1
failed=0
for missing in BPF_MAP_TYPE_TASK_STORAGE btf_trace_sched_switch; do
	echo "# without $missing"
	QUICK=1 MBTRACE_TEST_WITHOUT=$missing python3 tests/bpf/sched.py || failed=$?
done
exit $failed

#!/usr/bin/env bash
# The scheduler's figures against the kernel's own: schedstat, status, getrusage, wall time.
# timeout: 240
# must-run
cd "$(dirname "$0")/../.." || exit 1
exec python3 tests/bpf/sched.py

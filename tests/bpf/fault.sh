#!/usr/bin/env bash
# Page faults against getrusage: minor, major, user, kernel; latencies where the kernel lets them be measured.
# must-run
cd "$(dirname "$0")/../.." || exit 1
exec python3 tests/bpf/fault.py

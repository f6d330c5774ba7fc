#!/usr/bin/env bash
# Every loss of the scheduler's probe is made to happen, and seen in `trust`.
# timeout: 200
# must-run
cd "$(dirname "$0")/../.." || exit 1
exec python3 tests/bpf/losses.py

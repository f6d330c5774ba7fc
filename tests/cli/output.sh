#!/usr/bin/env bash
# Every format of `mbtrace monitor`, read by others' parsers; redrawing on a pseudo-terminal; hidden names; rows.
# timeout: 180
# must-run
cd "$(dirname "$0")/../.." || exit 1
exec /usr/bin/python3 tests/cli/output.py

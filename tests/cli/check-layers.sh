#!/bin/bash
# tools/check-layers accepts this tree, and catches each kind of wrong arrow in a tree of our own.
set -u
top=${TOP:-$(cd "$(dirname "$0")/../.." && pwd)}
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
n=0 failed=0

result() { # DESCRIPTION, with the status of the command before
	local status=$?
	n=$((n + 1))
	if [ $status -eq 0 ]; then echo "ok $n - $1"; else
		echo "not ok $n - $1"
		failed=1
	fi
}

put() { # FILE LINE…
	mkdir -p "$tree/$(dirname "$1")"
	printf '%s\n' "${@:2}" >"$tree/$1"
}

check() { "$top/tools/check-layers" "$tree"; }

good() { # DESCRIPTION: the tree as it now is passes
	output=$(check)
	result "$1"
	[ -z "$output" ] || printf '# it said: %s\n' "$output"
}

bad() { # DESCRIPTION FILE:LINE WORDS: the tree fails, for that reason and no other; then start anew
	local output status
	output=$(check)
	status=$?
	[ $status -eq 1 ] && [ "$(wc -l <<<"$output")" -eq 1 ] && [[ $output == "$2: "*"$3"* ]]
	result "$1"
	[[ $output == "$2: "*"$3"* ]] || printf '# it said: %s\n' "$output"
	rm -rf "${tree:?}"/*
}

"$top/tools/check-layers" "$top"
result "this tree has no wrong arrow"

put user/base/buf.h
put user/metric/bins.h '#include <stdint.h>'
put user/metric/histogram.h '#include "metric/bins.h"' '#include "base/buf.h"'
put user/probe/sched.c '#include <bpf/libbpf.h>' '#include "bpf/sched.h"' '#include "sched.skel.h"' \
	'#include "metric/histogram.h"'
put user/include/mbtrace/cache.h '#include <mbtrace/types.h>'
put user/cache/cache.c '#include <mbtrace/cache.h>' '/* #include "agent/loop.h" */' \
	'//#include "cli/main.h"' '/*' '#include "tui/screen.h"' '*/'
put user/cli/cmd_parallel.c '#include "pool/pool.h"' '#include "agent/loop.h"'
put bpf/sched.h '#include "metric/bins.h"'
put bpf/sched.bpf.c '#include "vmlinux.h"' '#include <bpf/bpf_helpers.h>' '#include "bpf/sched.h"' \
	'#include "common/task.bpf.h"'
good "arrows that point downward"
rm -rf "${tree:?}"/*

put user/metric/histogram.c '#include "base/buf.h"' '#include "agent/loop.h"'
bad "an arrow that points up" user/metric/histogram.c:2 'metric may not use "agent/loop.h"'

put user/alert/rule.c '/* two' ' * lines */' '#  include  "store/db.h"'
bad "an arrow between neighbours, below a comment" user/alert/rule.c:3 'may not use "store/db.h"'

put user/base/buf.c '#include "metric/series.h"'
bad "base knows no word of the domain" user/base/buf.c:1 'base may not use'

put user/cli/cmd_monitor.c '#include "pool/pool.h"'
bad "only cmd_parallel may use the pool" user/cli/cmd_monitor.c:1 'cli may not use "pool/pool.h"'

put user/agent/loop.c '#include "sched.skel.h"'
bad "a skeleton outside probe" user/agent/loop.c:1 'sched.skel.h'

put user/probe/sched.c '#include "common/task.bpf.h"'
bad "what only BPF shares" user/probe/sched.c:1 'may not use "common/task.bpf.h"'

put bpf/sched.h '#include "metric/histogram.h"'
bad "a wire header that uses more than the bins" bpf/sched.h:1 'bpf may not use'

put user/metric/bins.h '#include "base/buf.h"'
bad "the bins stand alone" user/metric/bins.h:1 'may not use "base/buf.h"'

put user/metric/a.c '#include "a.h"'
bad "an include without a folder" user/metric/a.c:1 'has no folder'

put bpf/sched.h
put user/probe/a.c '#include "sched.h"'
bad "a wire header without its folder" user/probe/a.c:1 'write "bpf/sched.h"'

put user/metric/a.c '#include "../base/buf.h"'
bad "an include by way of .." user/metric/a.c:1 'no such folder'

put user/metric/a.c '#include HEADER'
bad "an include of a macro" user/metric/a.c:1 'cannot be checked'

put user/utils/a.c 'int a;'
bad "an unknown folder" user/utils/a.c:1 'no folder of the table'

put user/a.c 'int a;'
bad "a file in no folder" user/a.c:1 'no folder of the table'

put user/agent/loop.c '#include <bpf/bpf.h>'
bad "libbpf outside probe" user/agent/loop.c:1 'only probe may use <bpf/bpf.h>'

put user/profile/unwind.c '#include <elfutils/libdw.h>'
bad "elfutils outside symbol" user/profile/unwind.c:1 'only symbol may use'

put user/alert/log.c '#include <sqlite3.h>'
bad "SQLite outside store" user/alert/log.c:1 'only store may use'

put user/alert/rule.c '#include <jansson.h>'
bad "jansson where no JSON is read" user/alert/rule.c:1 'may use <jansson.h>'

put user/metric/a.c '#include <mbtrace/pool.h>'
bad "a public header is its folder's" user/metric/a.c:1 'metric may not use <mbtrace/pool.h>'

put user/include/mbtrace/cache.h '#include "base/buf.h"'
bad "a public header shows nothing inside" user/include/mbtrace/cache.h:1 'may not use "base/buf.h"'

put user/metric/a.h '#include "metric/b.h"'
put user/metric/b.h '#include "base/c.h"' '#include "metric/a.h"'
bad "a circle" user/metric/b.h:2 'circular: metric/a.h -> metric/b.h -> metric/a.h'

echo "1..$n"
exit $failed

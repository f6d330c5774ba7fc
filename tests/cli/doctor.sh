#!/bin/bash
# mbtrace doctor: as root, as nobody, without BTF; text and JSON; exit codes; its list of hooks.
set -u
TOP=${TOP:-$(git rev-parse --show-toplevel)}
BUILD=${BUILD:-$TOP/build}
MBTRACE=${MBTRACE:-$BUILD/mbtrace}
failed=0

# Where nobody can read it too.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"
cp "$MBTRACE" "$work/mbtrace"

is() { # WHAT GOT WANT
	if [ "$2" = "$3" ]; then
		echo "ok - $1"
	else
		echo "not ok - $1 (got $2 want $3)"
		failed=1
	fi
}

has() { # WHAT TEXT PART
	case $2 in
	*"$3"*) echo "ok - $1" ;;
	*)
		echo "not ok - $1 (got $(head -c 400 <<<"$2") want $3)"
		failed=1
		;;
	esac
}

as_nobody() {
	(cd "$work" && setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps=-all "$@")
}

# What an expression over the report d says: query FILE EXPRESSION
query() {
	python3 -c "import json, sys
d = json.load(open(sys.argv[1]))
f = {(x['group'], x['name']): x for x in d['findings']}
print($2)" "$1"
}

# An empty file in place of the kernel's BTF, in a mount namespace of its own.
without_btf() {
	# shellcheck disable=SC2016 # the inner shell expands them
	unshare -m sh -c 'mount --bind "$0" /sys/kernel/btf/vmlinux && exec "$@"' "$work/empty" "$@"
}

valid() { # WHAT FILE
	local errors
	errors=$(python3 - "$TOP/tests/schema/doctor.schema.json" "$2" 2>&1 <<'PY'
import json, jsonschema, sys
schema, report = (json.load(open(path)) for path in sys.argv[1:])
jsonschema.Draft202012Validator.check_schema(schema)
for e in jsonschema.Draft202012Validator(schema).iter_errors(report):
    print("/".join(map(str, e.path)), e.message[:200])
names = [(f["group"], f["name"]) for f in report["findings"]]
for name in {n for n in names if names.count(n) > 1}:
    print("twice:", name)
PY
	)
	is "$1: the JSON is as the schema says, and names nothing twice" "$errors" ""
}

: >"$work/empty"
if [ "$(id -u)" -ne 0 ]; then
	echo "needs root, to look as root, as nobody and without BTF"
	exit 77
fi

# As root: as this kernel is, monitor must work where the tests run.
"$MBTRACE" doctor --format json >"$work/root.json" 2>"$work/err"
is "root: exit" $? 0
is "root: nothing on standard error" "$(cat "$work/err")" ""
valid root "$work/root.json"
is "root: works and was tried" "$(query "$work/root.json" "d['works'], d['tried']")" "True True"
is "root: the four sources" "$(query "$work/root.json" "[n for g, n in f if g == 'source']")" \
	"['sched', 'fault', 'block', 'tcp']"
is "root: no required thing is absent" \
	"$(query "$work/root.json" "[n for (g, n), x in f.items() if x['required'] and x['status'] == 'absent']")" "[]"
# What doctor says of a source is what monitor does.
"$MBTRACE" monitor -f json -n 1 -i 100ms 2>/dev/null | head -n 1 >"$work/header.json"
is "root: the sources are as monitor attaches them" \
	"$(query "$work/root.json" "{n: x['status'] for (g, n), x in f.items() if g == 'source'}")" \
	"$(python3 -c "import json, sys
m = {'attached': 'available', 'degraded': 'fallback', 'absent': 'absent'}
print({n: m[s['status']] for n, s in json.load(open(sys.argv[1]))['sources'].items()})" "$work/header.json")"
# fentry works if and only if latency can be measured.
is "root: fentry is available where page-fault latency is measured" \
	"$(query "$work/root.json" "f['hook', 'fentry handle_mm_fault']['status'] == 'available'")" \
	"$(query "$work/root.json" "'fentry' in (f['source', 'fault']['reason'] or '').split(':')[0]")"
text=$("$MBTRACE" doctor)
is "text: exit" $? 0
has "text: the verdict" "$text" "\`mbtrace monitor\` works here."
is "text: as many findings as in JSON" "$(grep -cE '^  (available|fallback|absent) ' <<<"$text")" \
	"$(query "$work/root.json" "len(d['findings'])")"

# It leaves nothing behind.
if command -v bpftool >/dev/null; then
	is "root: no program named \"nothing\" is left" \
		"$(bpftool prog show 2>/dev/null | grep -c 'name nothing')" 0
fi

# Every hook that a program's section names is examined, and no other.
for o in "$BUILD"/bpf/*/*.bpf.o; do readelf -SW "$o"; done |
	grep -oE ' (tp_btf|raw_tp|iter|fentry|fexit)/[a-z0-9_]+' | tr -d ' ' | sort -u >"$work/sections"
query "$work/root.json" "'\n'.join(n.replace(' ', '/') for g, n in f if g == 'hook' and not n.startswith('perf'))" |
	sort -u >"$work/hooks"
is "the hooks are those of the programs" "$(diff "$work/sections" "$work/hooks" 2>&1)" ""

# As nobody.
as_nobody ./mbtrace doctor --format json >"$work/nobody.json" 2>"$work/err"
is "nobody: exit" $? 4
is "nobody: nothing on standard error" "$(cat "$work/err")" ""
valid nobody "$work/nobody.json"
is "nobody: does not work, was not tried" "$(query "$work/nobody.json" "d['works'], d['tried']")" "False False"
has "nobody: the reason names the capabilities" "$(query "$work/nobody.json" "d['reason']")" "CAP_BPF and CAP_PERFMON"
is "nobody: both capabilities are absent" \
	"$(query "$work/nobody.json" "[f['capability', c]['status'] for c in ('CAP_BPF', 'CAP_PERFMON')]")" \
	"['absent', 'absent']"
has "nobody: the mend of a hook" "$(query "$work/nobody.json" "f['hook', 'iter task']['mend']")" "CAP_BPF"
is "nobody: the same findings as root" "$(query "$work/nobody.json" "sorted(f)")" "$(query "$work/root.json" "sorted(f)")"
has "nobody: text" "$(as_nobody ./mbtrace doctor)" "does not work here: not permitted"

# Root of a user namespace has every capability, and none that counts.
if unshare -Ur true 2>/dev/null; then
	unshare -Ur "$MBTRACE" doctor --format json >"$work/userns.json"
	is "root of a user namespace: exit" $? 4
	is "root of a user namespace: works" "$(query "$work/userns.json" "d['works']")" False
fi

# A kernel without BTF.
without_btf "$MBTRACE" doctor --format json >"$work/nobtf.json" 2>"$work/err"
is "no BTF: exit" $? 4
is "no BTF: nothing on standard error" "$(cat "$work/err")" ""
valid "no BTF" "$work/nobtf.json"
has "no BTF: the mend" "$(query "$work/nobtf.json" "f['feature', 'BTF']['mend']")" CONFIG_DEBUG_INFO_BTF
has "no BTF: the reason" "$(query "$work/nobtf.json" "d['reason']")" BTF
message=$(without_btf "$MBTRACE" monitor -f json -n 1 2>&1 >/dev/null)
is "no BTF: monitor's exit" $? 4
has "no BTF: monitor says what is missing" "$message" CONFIG_DEBUG_INFO_BTF
is "no BTF: monitor says it in one line" "$(wc -l <<<"$message")" 1

# Used wrongly.
"$MBTRACE" doctor --format xml >/dev/null 2>"$work/err"
is "an unknown format: exit" $? 2
"$MBTRACE" doctor extra >/dev/null 2>"$work/err"
is "an operand: exit" $? 2
"$MBTRACE" doctor >/dev/full 2>"$work/err"
is "a full disk: exit" $? 1
has "a full disk: the message" "$(cat "$work/err")" "No space left"
"$MBTRACE" doctor 2>"$work/err" | true
is "a closed pipe: nothing is said" "$(cat "$work/err")" ""
exit $failed

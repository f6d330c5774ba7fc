#!/bin/bash
# The manual pages and READMEs say what the program's own tables say: commands, options with their letters, values and
# defaults, members, BPF programs, costs. Needs no privilege. `WRITE=1 tests/cli/manual.sh` renews what can be copied.
set -u
top=${TOP:-$(cd "$(dirname "$0")/../.." && pwd)}
mbtrace=${MBTRACE:-${BUILD:-$top/build}/mbtrace}
cd "$top" || exit 1
n=0 failed=0

result() { # DESCRIPTION [WHAT-IS-WRONG]: ok if nothing is
	n=$((n + 1))
	if [ -z "${2-}" ]; then
		echo "ok $n - $1"
	else
		echo "not ok $n - $1"
		printf '%s\n' "$2" | sed 's/^/#   /'
		failed=1
	fi
}

# "-d, --duration TIME (default)" of each option in a help text, one a line.
help_options() { # HELP…
	"$mbtrace" "$@" | sed -nE 's/^  (-[A-Za-z], |    )(--[a-z-]+( [^ ]+)?)  +(.*)$/\1\2\t\4/p' |
		sed -E 's/^ +//; s/\t.*\(([^() ]+)\)$/ (\1)/; s/\t.*//'
}

# The same of the options that a page describes. A default is what its text says: "The default is 1s".
page_options() { # PAGE
	awk '
	function out() { if (item != "") print item (value != "" ? " (" value ")" : ""); item = value = "" }
	/^\.It Fl / {
		out()
		item = $0
		sub(/^\.It /, "", item); gsub(/Fl -/, "--", item); gsub(/Fl /, "-", item)
		gsub(/ , /, ", ", item); gsub(/Ar /, "", item)
		next
	}
	/^\.(El|S[hs])/ { out(); next }
	item != "" {
		text = last " " $0
		if (match(text, /[Tt]he default is [^ ;:,]+/)) {
			value = substr(text, RSTART + 15, RLENGTH - 15)
			sub(/\.$/, "", value)
		}
		last = $0
	}' "$1"
}

# A text as an extended regular expression that matches just that.
quoted() { # TEXT
	# shellcheck disable=SC2001 # what is matched is put back
	sed 's/[][()|.*+?]/\\&/g' <<<"$1"
}

# Defaults that help tells in words ("default: all") are not in parentheses there: only those that are have to agree.
compare_options() { # PAGE HELP…
	local page=$1 line problems=''
	shift
	local described told
	described=$(page_options "$page")
	told=$(help_options "$@")
	while IFS= read -r line; do
		case $line in
		*' ('*) grep -qxF -- "$line" <<<"$described" || problems+="not described: $line"$'\n' ;;
		*) grep -qE -- "^$(quoted "$line")( \(.*\))?$" <<<"$described" ||
			problems+="not described: $line"$'\n' ;;
		esac
	done <<<"$told"
	while IFS= read -r line; do
		grep -qE -- "^$(quoted "${line% (*}")( \(.*\))?$" <<<"$told" ||
			problems+="does not exist: $line"$'\n'
	done <<<"$described"
	[ "$(wc -l <<<"$told")" -gt 0 ] && [ -n "$told" ] || problems+="no options in the help text"
	printf '%s' "$problems"
}

compare_commands() {
	local command problems=''
	for command in $("$mbtrace" help | sed -n '/^commands:/,/^$/s/^  \([a-z]*\) .*/\1/p'); do
		grep -q "^\.It Cm $command\$" docs/man/mbtrace.1 || problems+="mbtrace.1 lacks $command"$'\n'
		[ "$command" = help ] || [ -s "docs/man/mbtrace-$command.1" ] ||
			problems+="there is no mbtrace-$command.1"$'\n'
	done
	[ -n "${command-}" ] || problems="no commands in the help text"
	printf '%s' "$problems"
}

# The page's lists of members against those of docs/output.md, which a unit test holds against the metric table.
compare_members() {
	WRITE=${WRITE-} python3 - docs/output.md docs/man/mbtrace-monitor.1 <<'EOF'
import os, re, sys, textwrap

output, page = (open(path, encoding="utf-8").read() for path in sys.argv[1:])
tables = re.findall(r"<!-- members: (\S+) -->\n(.*?)<!-- end -->", output, re.S)
if not tables:
    print("docs/output.md has no lists of members")
written = page
for scope, table in tables:
    cells = [[c.strip() for c in line.strip("|").split("|")] for line in table.splitlines()[2:]]
    lines = ['.Bl -tag -width "memory.available_bytes" -compact']
    for cell in cells:
        lines += [f".It Cm {cell[0].strip('`')}", *textwrap.wrap(cell[5], 78)]
    wanted = "\n".join([*lines, ".El"])
    old = re.search(rf'(\.\\" members: {re.escape(scope)}\n)(.*?)(\n\.\\" end)', page, re.S)
    if not old:
        print(f'no part between ".\\" members: {scope}" and ".\\" end"')
    elif old.group(2) != wanted:
        have, want = (set(text.splitlines()) for text in (old.group(2), wanted))
        print(f"{scope}:", "; ".join([f"lacks {x}" for x in sorted(want - have)]
                                     + [f"has {x}" for x in sorted(have - want)]) or "another order")
        written = written.replace(old.group(0), old.group(1) + wanted + old.group(3))
if os.environ["WRITE"] and written != page:
    open(sys.argv[2], "w", encoding="utf-8").write(written)
EOF
}

# The README's table of costs is the one that the last `make bench` wrote.
compare_costs() {
	WRITE=${WRITE-} python3 - docs/benchmarks.md README.md <<'EOF'
import os, re, sys

bench, readme = (open(path, encoding="utf-8").read() for path in sys.argv[1:])
goals = re.search(r"^## Goals\n\n((?:\|.*\n)+)", bench, re.M)
place = re.search(r"(<!-- from docs/benchmarks.md -->\n)(.*?)(<!-- end -->)", readme, re.S)
if not goals or not place:
    print("docs/benchmarks.md has no table below ## Goals" if not goals
          else "README.md has no place for the table of docs/benchmarks.md")
elif place.group(2) != goals.group(1):
    print("differs from docs/benchmarks.md; WRITE=1 tests/cli/manual.sh copies it")
    if os.environ["WRITE"]:
        new = readme[:place.start(2)] + goals.group(1) + readme[place.end(2):]
        open(sys.argv[2], "w", encoding="utf-8").write(new)
EOF
}

# What the page refers to among ours is not installed here.
lint_page() { # PAGE
	mandoc -Tlint -W style "$1" 2>&1 |
		grep -vE 'Xr (mbtrace|setcap)|mandoc\.db|function name without markup' | sed "s,^mandoc: ,,"
}

# Every command line of the README that begins with mbtrace has options that exist.
readme_options() {
	local option known
	known=$("$mbtrace" help; for c in $("$mbtrace" help | sed -n '/^commands:/,/^$/s/^  \([a-z]*\) .*/\1/p'); do
		"$mbtrace" help "$c"; done)
	sed -nE 's/^ +(.*\| *)?(sudo )?(build\/)?mbtrace /mbtrace /p' README.md docs/*.md |
		grep -oE -- ' --[a-z-]+' | sort -u | while IFS= read -r option; do
		grep -qE -- "${option# }( |\$)" <<<"$known" || echo "no option$option"
	done
}

# The programs of bpf/ and those named in the table of its README.
compare_programs() {
	local program programs problems=''
	programs=$(grep -hA1 '^SEC("[a-z_]*/' bpf/*.bpf.c |
		sed -nE 's/^int (BPF_PROG\()?([a-z_0-9]+).*/\2/p' | sort -u)
	for program in $programs; do
		grep -q "\`$program\`" bpf/README.md || problems+="not in the table: $program"$'\n'
	done
	# shellcheck disable=SC2016 # these are backticks
	for program in $(sed -nE 's/^\| [^|]*\| (`[^|]*) \|.*/\1/p' bpf/README.md | grep -oE '`[a-z_0-9]+`' | tr -d '`'); do
		grep -qx "$program" <<<"$programs" || problems+="does not exist: $program"$'\n'
	done
	[ -n "$programs" ] || problems="no programs in bpf/"
	printf '%s' "$problems"
}

result "the commands are described" "$(compare_commands)"
result "the global options are described" "$(compare_options docs/man/mbtrace.1 help)"
for page in docs/man/mbtrace-*.1; do
	command=$(basename "$page" .1)
	command=${command#mbtrace-}
	result "the options of $command are described" "$(compare_options "$page" help "$command")"
done
result "the members are described, as in docs/output.md" "$(compare_members)"
result "the examples use options that exist" "$(readme_options)"
if [ -e docs/benchmarks.md ]; then
	result "the README has the costs of docs/benchmarks.md" "$(compare_costs)"
else
	result "the README has the costs of docs/benchmarks.md # SKIP there are none yet: make bench"
fi
result "every BPF program is in the table of bpf/README.md" "$(compare_programs)"
for page in docs/man/*.1; do
	if command -v mandoc >/dev/null; then
		result "$(basename "$page") is clean mdoc" "$(lint_page "$page")"
	else
		result "$(basename "$page") is clean mdoc # SKIP mandoc is not installed"
	fi
done

echo "1..$n"
exit $failed

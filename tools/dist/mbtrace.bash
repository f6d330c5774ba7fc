# bash completion for mbtrace: installed as share/bash-completion/completions/mbtrace.
#
# Nothing about commands and options is written down here: the program's help says what there is, and its complaint about a
# value that cannot be lists those that can. So a new option is completed as soon as it exists.
# shellcheck shell=bash

# The values of an option that has a fixed choice, from "…; there is a, b, c".
_mbtrace_choices() { # PROGRAM COMMAND… OPTION
	local option=${*: -1}
	"${@:1:$#-1}" "$option=?" </dev/null 2>&1 | sed -n 's/.*; there is //p' | tr -d ','
}

# What the help calls the value of an option ("FILE"), empty for a flag.
_mbtrace_value() { # OPTION, help on standard input
	sed -nE "s/^ *(-., )?(--[a-z-]+)( ([^ ]+))?  .*/\1\2 \4/p" |
		sed -nE "s/^(.*, )?$1( |, --[a-z-]+ )(.*)/\3/p" | head -n 1
}

_mbtrace() {
	local program=${COMP_WORDS[0]} word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}
	local overview command='' help value i words='' call
	COMPREPLY=()
	overview=$("$program" help 2>/dev/null) || return 0
	local commands
	commands=$(sed -n '/^commands:/,/^$/s/^  \([a-z]*\) .*/\1/p' <<<"$overview")
	for ((i = 1; i < COMP_CWORD; i++)); do
		if grep -qxF -- "${COMP_WORDS[i]}" <<<"$commands"; then
			command=${COMP_WORDS[i]}
			break
		fi
	done
	help=$overview call=("$program")
	if [ -n "$command" ]; then
		help=$("$program" help "$command" 2>/dev/null)
		call+=("$command")
	fi

	# Readline takes "--format=js" for three words.
	if [ "$before" = = ] && [ "$COMP_CWORD" -ge 2 ]; then
		before=${COMP_WORDS[COMP_CWORD - 2]}
	elif [ "$word" = = ]; then
		word=''
	fi
	value=''
	case $before in -*) value=$(_mbtrace_value "$before" <<<"$help") ;; esac
	case $value in
	FORMAT | LEVEL | WHEN)
		[ "${#before}" -gt 2 ] || before=$(sed -nE "s/^ *$before, (--[a-z-]+) .*/\1/p" <<<"$help")
		words=$(_mbtrace_choices "${call[@]}" "$before")
		;;
	'NAME[,NAME]')
		words=$(_mbtrace_choices "${call[@]}" "$before")
		# One more behind those that are there.
		case $word in *,*) words=$(for i in $words; do echo "${word%,*},$i"; done) ;; esac
		;;
	FILE | COMMAND)
		mapfile -t COMPREPLY < <(compgen -f -- "$word")
		compopt -o filenames 2>/dev/null
		return 0
		;;
	'PID[,PID]') words=$(cd /proc && echo [0-9]*) ;;
	'')
		case $command:$word in
		help:*) words=$commands ;;
		:[!-]* | :) words=$commands ;;
		*) words=$(grep -oE -- '^ +(-., )?--[a-z-]+' <<<"$help" | grep -oE -- '--[a-z-]+') ;;
		esac
		;;
	esac
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
}

complete -F _mbtrace mbtrace

# shellcheck shell=sh
# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# The relay for a device without Python: the same steps as in program.py, for the shell of such a device. BusyBox is enough.
# shell.py sends it on standard input, followed by calls of these functions. Each answer is a part of one line, with fields between colons. A text is
# in hexadecimal digits, an error a number of ours or, after the letter e, what the tool said.
# The TPM is descriptor 3, which stays open from one question to the next.

LC_ALL=C
PATH=$PATH:/usr/sbin:/usr/bin:/sbin:/bin
export LC_ALL PATH
umask "$(printf %o $((0$(umask) | 022)))"
exec 2>/dev/null
used=''
if [ "$(printf A | od -A n -v -t x1)" = ' 41' ]; then
    hex() { od -A n -v -t x1 | tr -d ' \n'; }
else
    hex() { hexdump -v -e '1/1 "%02x"'; }
fi
lacking=''
[ "$(printf A | hex)" = 41 ] || lacking='od'
# Any other printf would have the content of files in its arguments, which everybody on the device sees.
# shellcheck disable=SC2123
[ "$(PATH='' && printf A)" = A ] || lacking='printf'
for tool in dd tr readlink mktemp; do command -v $tool >/dev/null || lacking=$tool; done

say() { printf ' %s' "$1"; }

text() { printf %s "$1" | hex; }

fault() {
    case $1 in
        *[!0-9]* | '') printf 'e%s' "$(text "$1")" ;;
        *) printf %s "$1" ;;
    esac
}

# WORD ERROR: the end of this question.
stop() {
    say "stopped:$1:$(fault "$2")"
    exec 3<&-
    used=''
    return 1
}

# ENVIRONMENT NODE...: open the first node that exists; the first one of all if none does.
begin() {
    printf edgefleet-relay
    [ -z "$lacking" ] || { stop no_shell_tool 0; return 1; }
    if [ "$1" = 1 ] && [ -n "$TPM2TOOLS_TCTI" ]; then
        say "variable:$(printf %.1000s "$TPM2TOOLS_TCTI" | hex)"
        return 1
    fi
    shift
    if [ -z "$used" ]; then
        number=0
        node=$1
        for place; do
            [ ! -e "$place" ] || { node=$place; break; }
            number=$((number + 1))
        done
        [ "$number" -lt $# ] || number=0
        [ -e "$node" ] || { stop unreachable 2; return 1; }
        # A command that is written to an ordinary file would destroy its content.
        [ -c "$node" ] || { stop no_device 0; return 1; }
        # Without "command", the shell would end here.
        command exec 3<>"$node" || { stop unreachable "$( (exec 3<>"$node") 2>&1)"; return 1; }
        used=$number
    fi
    say "used:$used"
}

# COMMAND: one command as a format of printf, in one write, and its response, which may come in pieces. Leaves the response in $got.
send() {
    # shellcheck disable=SC2059
    said=$( (printf "$1" | dd ibs=512 obs=8192 >&3) 2>&1) || { stop broken "$said"; return 1; }
    got=''
    while :; do
        more=$(dd bs=4096 count=1 <&3 | hex)
        got=$got$more
        if [ -z "$more" ] || [ ${#got} -lt 20 ]; then break; fi
        size=${got#????}
        size=${size%"${size#????????}"}
        case $size in
            0000*) [ ${#got} -lt $((2 * 0x$size)) ] || break ;;
            *) break ;;
        esac
    done
    [ -n "$got" ] || { stop broken 5; return 1; }
    say "sent:$got"
}

# Leaves in $real where a path leads to, also if not all of it exists.
resolve() {
    if [ -e "$1" ]; then
        real=$(readlink -f "$1")
    elif [ -L "$1" ] && [ "$links" -lt 40 ]; then
        links=$((links + 1))
        real=$(readlink "$1")
        case $real in
            /*) resolve "$real" ;;
            *) resolve "${1%/*}/$real" ;;
        esac
    else
        set -- "${1%/*}" "${1##*/}"
        resolve "${1:-/}"
        case $2 in
            '' | .) ;;
            ..) real=${real%/*} ;;
            *) real=${real%/}/$2 ;;
        esac
        real=${real:-/}
    fi
}

# PATH: device, inode, type and mode, owner, group, their names; or the lines that have them.
if command -v stat >/dev/null; then
    status() {
        if found=$(stat -L -c '%d %i %f %u %g %U %G' "$1" 2>&1); then
            printf 's%s' "$(text "$found")"
        else
            fault "$found"
        fi
    }
else
    status() {
        if found=$(ls -lniLd "$1" 2>&1); then
            printf 'l%s' "$(text "$found
$(ls -lLd "$1")
$(df -P "$1" || df -P "${1%/*}/")")"
        else
            fault "$found"
        fi
    }
fi

# PATH BLOCKS: what is at a path, and the content of a file, as far as so many blocks of 4096 bytes.
look() {
    link=0
    [ ! -L "$1" ] || link=1
    links=0
    resolve "$1"
    folder=${real%/*}
    content=''
    if [ -f "$1" ]; then
        content=$({ { dd if="$1" bs=4096 count="$2" || printf '!' >&4; } | hex; } 4>&1)
        case $content in *!*) content=$(fault "$(dd if="$1" bs=4096 count="$2" 2>&1 >/dev/null)") ;; *) content=s$content ;; esac
    fi
    say "look:$link:$(text "$real"):$(status "${folder:-/}"):$(status "$real"):$(status "$1"):$content"
}

# PATH: the nearest folder there is above it, and whether a file could be made there.
writable() {
    folder=${1%/*}
    while [ ! -e "${folder:-/}" ] && [ ! -L "$folder" ]; do folder=${folder%/*}; done
    folder=${folder:-/}
    number=0
    [ -w "$folder" ] && [ -x "$folder" ] || number=13
    [ -d "$folder" ] || number=20
    say "writable:$(text "$folder"):$number"
}

# PATH MODE KEEP SIZE: replace a file by a new one, which comes on standard input, or leave it as it is. KEEP: keep an old file's mode.
put() {
    if [ -L "$1" ]; then say done:40; return; fi
    if [ -d "$1" ]; then say done:21; return; fi
    folder=${1%/*}
    mode=$2
    if [ "$3" = 1 ] && [ -e "$1" ]; then
        # drwsr-x--x: each third as letters without the special bits.
        # shellcheck disable=SC2012,SC2020
        others=$(ls -lLd "$1" | dd bs=10 count=1 | tr st xx)
        users=${others#?}
        others=${others#???????}
        group=${users#???}
        mode=$(printf 'u=%s,g=%s,o=%s' "${users%??????}" "${group%???}" "$others" | tr -d ST-)
    fi
    if said=$( {
        mkdir -p "${folder:-/}" && new=$(mktemp "$folder/.edgefleet-XXXXXX") || exit 1
        # Less than the whole arrives if somebody has ended the part that prints it.
        if dd of="$new" bs=4096 conv=fsync && [ "$(wc -c <"$new")" -eq "$4" ] && chmod "$mode" "$new" && mv -f "$new" "$1"; then
            sync
            exit 0
        fi
        rm -f "$new"
        exit 1
    } 2>&1); then said=0; fi
    say "done:$(fault "$said")"
}

remove() {
    if [ -d "$1" ] && [ ! -L "$1" ]; then say done:21; return; fi
    if said=$(rm -f "$1" 2>&1); then said=0; fi
    say "done:$(fault "$said")"
}

# FILE NAME: whether there is a user or a group of this name; every number counts as one.
known() {
    case $2 in '' | *[!0-9]*) ;; *) return 0 ;; esac
    while IFS=: read -r name _; do [ "$name" != "$2" ] || return 0; done <"$1"
    getent "${1##*/}" "$2" >/dev/null </dev/null
}

# PATH MODE OWNER GROUP, each may be empty: without a path, only see whether there are such names.
own() {
    if [ -n "$3" ] && ! known /etc/passwd "$3"; then say done:2; return; fi
    if [ -n "$4" ] && ! known /etc/group "$4"; then say done:2; return; fi
    if said=$( {
        [ -z "$1" ] || [ -z "$3$4" ] || chown -h "$3${4:+:$4}" "$1" || exit 1
        [ -z "$1" ] || [ -z "$2" ] || chmod "$2" "$1" || exit 1
    } 2>&1); then said=0; fi
    say "done:$(fault "$said")"
}

finish() { printf ' end\n'; }

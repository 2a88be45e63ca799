#!/bin/sh
# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# platform-hierarchy.sh disable|random_auth [NODE [kmsg]]: closes the platform hierarchy of the TPM 2.0 at NODE (/dev/tpm0) until the
# TPM's next reset. Installed by the role edgefleet.tpm2.platform_hierarchy, run at each boot before anything else may touch the TPM, so it
# needs nothing but a POSIX shell, dd, od and sleep. Says in one sentence what happened, with kmsg also to the kernel's log.
#
# Ends with 0: the hierarchy is closed; 1: it is open, or nobody knows; 3: there is no TPM.
#
# disable      TPM2_HierarchyControl(platform, platform, CLEAR), TPM 2.0 Library Part 3, section 24.2
# random_auth  TPM2_HierarchyChangeAuth(platform, 32 bytes), section 24.8; the bytes are in no variable, argument or file
set -u
LC_ALL=C
: "${PATH:=/usr/sbin:/usr/bin:/sbin:/bin}"
export LC_ALL PATH

# Seconds for one command, and how often a TPM may say that it is not ready yet.
limit=${EDGEFLEET_PLATFORM_LIMIT:-20}
tries=10

say() {
    printf '%s\n' "$1"
    # Where nothing keeps what is printed, and there is no syslog yet.
    if [ "$log" = kmsg ]; then
        { printf 'edgefleet-platform-hierarchy: %s\n' "$1" >/dev/kmsg; } 2>/dev/null
    fi
}

refuse() { # reason; cure
    say "Could not close the platform hierarchy of the TPM at $node: $1."
    exit 1
}

# --- The two commands: header, handle TPM_RH_PLATFORM, one password authorization with the empty auth, parameters --------

disable_size=32
disable() {
    printf '\200\002\000\000\000\040\000\000\001\041\100\000\000\014\000\000\000\011\100\000\000\011\000\000\000\000\000'
    printf '\100\000\000\014\000'
}

random_auth_size=61
random_auth() {
    printf '\200\002\000\000\000\075\000\000\001\051\100\000\000\014\000\000\000\011\100\000\000\011\000\000\000\000\000'
    printf '\000\040'
    dd if=/dev/urandom bs=31 count=1 2>/dev/null
    # A TPM cuts zeros off the end of an auth; the last byte is none.
    printf '\001'
}

# --- One command to the open node, which is descriptor 3 -----------------------------------------------------------

# Wait for process $1, no longer than the limit: a driver or a TPM may never answer.
guard() {
    (
        left=$limit
        while [ "$left" -gt 0 ]; do
            sleep 1
            left=$((left - 1))
        done
        kill -9 "$1"
    ) >/dev/null 2>&1 3>&- 4>&- &
    dog=$!
    wait "$1"
    status=$?
    kill "$dog"
    case $status in
        0) return 0 ;;
        137) echo silent >&4 ;;
        *) echo broken >&4 ;;
    esac
    return 1
} 2>/dev/null

# The driver takes a command as one write and gives a response as one read. dd collects the command's pieces up to obs.
send() {
    "$method" 3>&- | dd ibs=1 obs="$size" >&3 2>/dev/null &
    guard $!
}

receive() {
    dd bs=4096 count=1 <&3 2>/dev/null &
    guard $!
}

# The response in hex, or a word of guard's, or what the shell says where it cannot open the node.
exchange() {
    { { send && receive; } | od -An -v -tx1; } 4>&1
}

ask() { # NODE
    answer=$({ exchange 3<>"$1"; } 2>&1)
}

# --- What the TPM says ---------------------------------------------------------------------------------------------

# The response code of the header that begins the words given, empty where they are none.
code() {
    rc=
    [ $# -ge 10 ] || return 0
    case "$1 $2" in
        "80 01" | "80 02") rc=$7$8$9${10} ;;
        "00 c4") rc=tpm12 ;;
    esac
}

read_answer() {
    case $answer in
        *silent*) refuse "it did not answer within $limit s; look at dmesg for what its driver says, and cut the power" ;;
        *broken*) refuse "its driver reports an error; look at dmesg for what it says" ;;
        *[Pp]'ermission denied'*) refuse "no permission; run as root" ;;
        *[Bb]usy*) return 1 ;;
    esac
    # shellcheck disable=SC2086  # words
    code $answer
    [ -n "$rc" ] || refuse "it does not speak TPM 2.0; see that this is the node of a TPM 2.0"
}

not_ready() {
    case $rc in
        00000908 | 0000090a | 00000920 | 00000922 | 00000923) return 0 ;;
    esac
    return 1
}

report() {
    case $rc in
        00000000)
            if [ "$method" = disable ]; then
                say "Closed the platform hierarchy of the TPM at $node: it is disabled until the TPM's next reset."
            else
                say "Closed the platform hierarchy of the TPM at $node: it has a random auth, kept nowhere, until the TPM's next reset."
            fi
            ;;
        # BAD_AUTH, AUTH_UNAVAILABLE: an empty auth does not open it. HIERARCHY: it is disabled.
        000009a2 | 0000012f | 00000185) say "The platform hierarchy of the TPM at $node is closed already; there is nothing to do." ;;
        tpm12) say "The TPM at $node is a TPM 1.2, which has no platform hierarchy; there is nothing to do." ;;
        00000100) refuse "it has not been started (TPM_RC_INITIALIZE, 0x100); look at dmesg for what its driver says" ;;
        00000101) refuse "it is in failure mode (TPM_RC_FAILURE, 0x101); cut the power, and replace it where that does not help" ;;
        00000143) refuse "it does not have this command (TPM_RC_COMMAND_CODE, 0x143); use the other platform_hierarchy_method" ;;
        *) refuse "it answered with response code 0x$rc; look that up in docs/errors.md of edgefleet.tpm2" ;;
    esac
}

# --- The run -------------------------------------------------------------------------------------------------------

method=${1:-}
node=${2:-/dev/tpm0}
log=${3:-}
case $method in
    disable) size=$disable_size ;;
    random_auth) size=$random_auth_size ;;
    *)
        say "Could not close the platform hierarchy: '$method' is no method; say disable or random_auth."
        exit 1
        ;;
esac

# The shell would make a file where there is no node.
if ! [ -c "$node" ]; then
    say "There is no TPM at $node; nothing was closed."
    exit 3
fi

# The resource manager's node beside /dev/tpm0, for where somebody holds that.
managed=${node%tpm*}tpmrm${node##*tpm}
while :; do
    ask "$node"
    if ! read_answer; then
        if [ "$node" = "$managed" ] || ! [ -c "$managed" ]; then
            refuse "another process holds it; let this start before that process does"
        fi
        node=$managed
        continue
    fi
    tries=$((tries - 1))
    if not_ready && [ "$tries" -gt 0 ]; then
        sleep 1
        continue
    fi
    report
    exit 0
done

# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Shared code of the scripts, which source it. It sets ROOT (the checkout), WORK (everything generated) and CACHE (what is slow to make).
# shellcheck shell=bash

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
WORK=$ROOT/.work
# shellcheck disable=SC2034  # for those who source this
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/edgefleet-tpm2
LOGS=$WORK/log
mkdir -p "$LOGS"

say() { printf '==> %s\n' "$*" >&2; }

die() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}

# run_logged NAME COMMAND...: the output goes to .work/log/NAME.log; it is shown where the command fails.
run_logged() {
    local log=$LOGS/$1.log
    shift
    "$@" >"$log" 2>&1 && return
    tail -n 30 "$log" >&2
    die "this failed: $* (all of its output: $log)"
}

# A lock, because two makes at the same time in one checkout must not build the same thing.
take_lock() {
    exec 9>"$WORK/$1.lock"
    flock -n 9 && return
    say "waiting for another $1 in this checkout"
    flock 9
}

# python_is FILE VERSION: whether FILE is a Python at least that new (3.11), with a working venv module.
python_is() {
    "$1" -c "import sys, venv, ensurepip; sys.exit(sys.version_info < tuple(map(int, '$2'.split('.'))))" 2>/dev/null
}

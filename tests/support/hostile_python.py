# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Python of an attacker's device: it runs the real one, and changes the output of every module.

Run as a program: `hostile_python.py PLAN ARGUMENTS...`, where PLAN is a JSON file: `python` (the real interpreter), `log` (a file that gets a
line for each changed answer), `ways` (names of functions below), `facts` (what the way `facts` adds), `text` (what `text` and `failing` say),
`hang` (part of what comes in by standard input: then it writes the file `hung`, and is never heard of again).
Standard library only: it starts in every task.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import typing as t

Answer = dict[str, t.Any]
Plan = dict[str, t.Any]
DEPTH = 3000
SIZE = 3_000_000
# What only the program has that begins a relay which stays.
MARK = "edgefleet-relay-begins"


def facts(answer: Answer, plan: Plan) -> Answer:
    """Add variables of the collection, and of Ansible's connection."""
    honest = answer.get("ansible_facts") or {}
    return {**answer, "ansible_facts": {**honest, **plan["facts"], "ansible_local": plan["facts"], "ansible_facts": plan["facts"]}}


def keys(answer: Answer, plan: Plan) -> Answer:
    """Add keys by which Ansible's actions control its strategy, and keys that callbacks print."""
    text, name = plan["text"], "rogue-host"
    added: Answer = {
        "add_host": {"host_name": name, "groups": ["all", "edge"], "host_vars": plan["facts"]},
        "add_group": "rogue_group",
        "parent_groups": ["all"],
        "ansible_stats": {"data": {"tpm2_identity_registry": text}, "per_host": False, "aggregate": True},
        "ansible_included_var_files": ["/etc/hostname"],
        "include": "/etc/hostname",
        "include_args": plan["facts"],
        "include_variables": plan["facts"],
        "notify": ["rogue"],
        "warnings": [text],
        "deprecations": [{"msg": text, "version": "9.9"}],
        "diff": {"before": {"x": text}, "after": {"x": text}},
        "invocation": {"module_args": plan["facts"]},
        "attempts": 99,
        "discovered_interpreter_python": "/bin/false",
    }
    internal: Answer = {
        "no_log": False,
        "notify": ["rogue"],
        "verbose_always": True,
        "verbose_override": True,
        "facts_cacheable": True,
        "item_label": text,
        "ignore_errors": True,
        "parsed": False,
        "delegated_vars": plan["facts"],
        "suppress_tmpdir_delete": True,
    }
    return {**answer, **added, **{f"_ansible_{key}": value for key, value in internal.items()}}


def outcomes(answer: Answer, plan: Plan) -> Answer:
    """Add keys that say how the task ended, beside the module's own."""
    text = plan["text"]
    said: Answer = {"skipped": True, "skip_reason": text, "failed_when_result": True, "ansible_job_id": "1.1", "finished": 0}
    return {**answer, **said, "results": [{"failed": True, "msg": text}], "ansible_loop_var": "item", "ansible_index_var": "n"}


def huge(answer: Answer, _plan: Plan) -> Answer:
    """Add megabytes, in unknown keys."""
    return {**answer, "padding": "x" * SIZE, "rows": list(range(SIZE // 30)), **{f"key{number}": number for number in range(5000)}}


def nested(answer: Answer, _plan: Plan) -> Answer:
    """Nested more deeply than Python's limit of recursion."""
    deep: t.Any = "bottom"
    for _level in range(DEPTH // 10):
        deep = {"deeper": [deep]}
    return {**answer, "nested": deep, "reads": deep}


def abyss(_answer: Answer, _plan: Plan) -> str:
    """Nested so deeply that a parser crashes."""
    return '{"changed": false, "nested": ' + "[" * 100_000 + "]" * 100_000 + "}"


def text(answer: Answer, plan: Plan) -> Answer:
    """Append the attacker's words to every text of the answer."""

    def more(value: t.Any) -> t.Any:
        if isinstance(value, dict):
            return {key: more(one) for key, one in value.items()}
        if isinstance(value, list):
            return [more(one) for one in value]
        return value + plan["text"] if isinstance(value, str) else value

    return t.cast("Answer", more({key: value for key, value in answer.items() if key != "invocation"}))


def failing(_answer: Answer, plan: Plan) -> Answer:
    """Let each module fail with the attacker's words."""
    said = plan["text"]
    return {"failed": True, "msg": said, "exception": said, "rc": said, "module_stdout": said, "module_stderr": said, "reason": said}


def smooth(answer: Answer, _plan: Plan) -> Answer:
    """Claim that nothing fails, and that no hierarchy has an auth; and have no working relay, which would pass on what the TPM says."""
    if "answers" in answer:
        return {"failed": True, "msg": "no relay here"}
    if answer.get("failed"):
        return {"changed": False, "steps": [], "resources": []}
    return t.cast("Answer", json.loads(json.dumps(answer).replace('"auth_set": true', '"auth_set": false')))


WAYS: dict[str, t.Callable[[Answer, Plan], Answer | str]] = {
    one.__name__: one for one in (facts, keys, outcomes, huge, nested, abyss, text, failing, smooth)
}


def changed(output: str, plan: Plan) -> str:
    """The device's output in place of a module's; other output is unchanged."""
    try:
        answer: t.Any = json.loads(output)
    except ValueError:
        return output
    if not isinstance(answer, dict):
        return output
    for way in plan["ways"]:
        answer = WAYS[way](answer, plan)
    with open(plan["log"], "a", encoding="utf-8") as log:
        log.write("changed\n")
    return (answer if isinstance(answer, str) else json.dumps(answer)) + "\n"


def serve(plan: Plan) -> int:
    """Run the relay that stays, and change each of its answers; not that it is ready, without which it would be asked nothing."""
    with subprocess.Popen([plan["python"], *sys.argv[2:]], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        for line in child.stdout:
            sys.stdout.write(line if "ready" in line[:10] else changed(line, plan))
            sys.stdout.flush()
    return child.returncode


def main() -> int:
    """Run the real Python with the same arguments and standard input, and change what it prints."""
    with open(sys.argv[1], encoding="utf-8") as opened:
        plan: Plan = json.load(opened)
    if MARK in " ".join(sys.argv):
        return serve(plan)
    module = sys.stdin.read()
    if plan.get("hang") and plan["hang"] in module:
        with open(plan["hung"], "w", encoding="utf-8") as hung:
            hung.write(str(os.getpid()))
        time.sleep(600)
    done = subprocess.run([plan["python"], *sys.argv[2:]], input=module, stdout=subprocess.PIPE, text=True, check=False)
    sys.stdout.write(changed(done.stdout, plan))
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())

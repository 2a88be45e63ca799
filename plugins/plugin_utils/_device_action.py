# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The controller's side of a device module: run the module, and return the part of its answer that our modules define."""

from __future__ import annotations

import json
import typing as t

from ansible.module_utils.json_utils import _filter_non_json_lines
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.edgefleet.tpm2.plugins.module_utils import _secret, _values
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import handles
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.errors import TpmError
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils import _answer, _answer_tables, _plain, _text
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._relay import comparison, exchange, reach, reading, remote

display = Display()
# Words of the comparison after which only the module on the device can go on: the options, the relay, or the way to the TPM are not for it.
_DEVICE = ("device", "options", "path", "tcti", "no_relay", "no_shell_socket", "malformed", "file")
# Words that hang on the task alone; the others are the device's.
_OF_THE_TASK = ("device", "options", "path", "umask")
# The modules that use no auth value, though they have the options for it like all others: they are not sent any.
_WITHOUT_AUTH = ("tpm2_access", "tpm2_info")
_WHY = {
    "device": "it is for the device alone",
    "file": "it needs a file of the device that is too large",
    "host": "it looks at the host around the TPM",
    "malformed": "the relay's answer is not one that the relay gives",
    "no_relay": "the relay did not run on the device",
    "no_shell_socket": "the relay in shell reaches a TPM by its device node only, not by a socket",
    "path": "a path has ~, $ or a control character, which would mean something else here",
    "umask": "a mode in words hangs on the device's umask",
    "tcti": "its TPM is reached through a library on the device",
}
_NOT_HERE = "Could not run {module} from the controller: {why}; mend this, or set execution to device, which sends the task to it as it is."
_NOT_BY_SHELL = "Could not run {module} over the relay in shell: {why}; put this right, or give the device Python and leave relay out."
_NOT_SENT = (
    "Could not run {module} from the controller: {why}; no auth value or secret was sent to the device in another way: mend this, or, if the device's "
    "operating system may see them, set execution (tpm2_profile_execution for the playbooks) to device."
)
exchange.offer()
Result = dict[str, t.Any]
_PREFIX = "edgefleet.tpm2."
NO_PIPELINING = (
    "Could not send the secrets of {module}: without pipelining Ansible writes them to a file on the device; set pipelining = true in section "
    "[connection] of the controller's ansible.cfg, leave keep_remote_files off, and become by sudo, not by su."
)


class DeviceAction(ActionBase):
    """One module on the device. A subclass that decides something overrides `run` and calls `ask`."""

    TRANSFERS_FILES = False
    _requires_connection = True
    # For a task in the background, Ansible would fetch the answer without this class.
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: Result | None = None) -> Result:
        """Run the module of this action's name with the task's options."""
        result: Result = super().run(tmp, task_vars)
        module = self._task.resolved_action or self._task.action
        module = str(module).rpartition(".")[2]
        result.update(self.ask(module, self._task.args, task_vars or {}, _answer_tables.TABLES[module]))
        self._remove_tmp_path(self._connection._shell.tmpdir)
        return result

    def ask(self, module: str, options: t.Mapping[str, t.Any], task_vars: Result, table: _answer.Kind) -> Result:
        """Run one module on the device.

        Args:
            module: its name without the collection's.
            options: its options, as a task gives them.
            task_vars: the task's variables, as Ansible hands them to `run`.
            table: the part of its answer to keep.

        Returns:
            The answer: keys of the table with values of its types. A malformed answer becomes a failure with the reason `malformed_answer`.
        """
        self._table, self._notes, self._by_shell = table, list[str](), False
        misread = _values.misread(options, comparison.spec(module))
        if options.get("known_answers") is not None:
            # Somebody else's would be taken for what this TPM says.
            misread = "Could not take known_answers: only the controller's part of this module gives it; leave it out."
        if misread:
            return {"failed": True, "changed": False, "reason": "input", "msg": misread}
        if module in _WITHOUT_AUTH:
            options = {name: value for name, value in options.items() if name.removesuffix("_auth") not in handles.HIERARCHIES}
        compared = self._compare(module, options, task_vars)
        result = compared.result or self._change(module, options, compared)
        if result is not None:
            return self._with_interpreter(_taken(module, table, result))
        self._table = table
        if compared.answers and module in comparison.MODULES:
            options = {**options, "known_answers": [f"{command.hex()} {answer.hex()}" for command, answer in compared.answers.items()]}
        if self._writes_files() and any(True for _one in _secret.secret_values(options, comparison.spec(module))):
            return {"failed": True, "changed": False, "reason": "no_pipelining", "msg": NO_PIPELINING.format(module=module)}
        try:
            answer = self._execute_module(module_name=_PREFIX + module, module_args=dict(options), task_vars=task_vars)
            # Ansible has added its own keys after _parse_returned_data, so the answer is filtered again.
            notes = [*self._notes, *_warnings(answer.pop("warnings", None))]
            answer = _answer.taken(table, {**answer, "warnings": notes} if notes else answer)
        except _answer.MalformedError as malformed:
            answer = _malformed(module, malformed.message)
        return self._with_interpreter(answer)

    def _with_interpreter(self, answer: Result) -> Result:
        """The answer, with the device's Python if Ansible has just looked for it, which it keeps as a fact."""
        found = {self._discovered_interpreter_key: self._discovered_interpreter} if self._discovered_interpreter_key else {}
        return {**answer, **({"ansible_facts": found} if found else {})}

    def _compare(self, module: str, options: t.Mapping[str, t.Any], task_vars: Result) -> comparison.Compared:
        """Find out on the controller whether the task has anything to do."""
        here = module in (*comparison.MODULES, reading.MODULE) or (module in comparison.IN_SESSIONS and not self._obstacle())
        if options.get("execution") == "device" or not here:
            return comparison.Compared(None, "device", None)
        self._table = remote.ANSWER
        self._by_shell = options.get("relay") == "shell"

        def carry(asked: Result) -> t.Mapping[str, t.Any]:
            if self._by_shell:
                return reach.asked_shell(self, asked)
            try:
                printed = self._execute_module(module_name=exchange.MODULE, module_args=asked, task_vars=task_vars)
                answer = _answer.taken(remote.ANSWER, printed)
            except _answer.MalformedError:
                raise remote.ElsewhereError("malformed") from None
            if answer.get("failed"):
                self._by_shell = options.get("relay") != "python" and not reach.has_python(self)
                if not self._by_shell:
                    raise remote.ElsewhereError("no_relay", reach.no_relay(printed))
                return carry(asked)
            return answer

        if module == reading.MODULE:
            compared = reading.read(_plain.plain(options), carry=carry)
        else:
            compared = comparison.compare(module, _plain.plain(options), diff=bool(self._task.diff), carry=carry)
        if compared.why:
            display.vvv(f"{module} does not end with the comparison: {compared.why}", host=str(task_vars.get("inventory_hostname")))
        return compared

    def _change(self, module: str, options: t.Mapping[str, t.Any], compared: comparison.Compared) -> Result | None:
        """Do the task from the controller; None if the module on the device is to do it."""
        reads = module == reading.MODULE
        if options.get("execution") == "device" or not (reads or module in comparison.MODULES | comparison.IN_SESSIONS):
            obstacle = _WHY["device"]
        elif reads or compared.remote is None or not compared.remote.exchanges or compared.why in _DEVICE:
            found = compared.said or _WHY.get(compared.why, f"the comparison ended with '{compared.why}'")
            obstacle = found if reads else self._obstacle() or found
        else:
            obstacle = self._obstacle()
        self._left = compared.why
        result = None if obstacle or compared.remote is None else self._from_here(module, options, compared.remote)
        why = obstacle or _WHY.get(self._left, f"it ended with '{self._left}'")
        if result is None and (self._by_shell or options.get("execution") == "controller"):
            failed = compared.failed
            if failed is not None and self._left == compared.why and (module == reading.MODULE or not self._obstacle()):
                return _failure(failed)
            says = _NOT_BY_SHELL if self._by_shell else _NOT_HERE
            return {"failed": True, "changed": False, "reason": "input", "msg": says.format(module=module, why=why)}
        if result is None and self._untold(module, options, compared):
            if compared.failed is not None and self._left == compared.why:
                return _failure(compared.failed)
            return {"failed": True, "changed": False, "reason": "untold", "msg": _NOT_SENT.format(module=module, why=why)}
        return result

    def _untold(self, module: str, options: t.Mapping[str, t.Any], compared: comparison.Compared) -> bool:
        """Whether the module would be sent to another host with secrets, though nobody said `device`.

        On the controller itself only a device decides nothing: what the task or the controller cannot do from here is done by the module.
        """
        if options.get("execution") == "device" or not any(True for _one in _secret.secret_values(options, comparison.spec(module))):
            return False
        heard = compared.remote is not None and compared.remote.exchanges > 0
        chosen = self._left in _OF_THE_TASK or (self._left == "tcti" and bool(options.get("tcti")))
        return not reach.own_host(self._connection) or (heard and not chosen and not self._obstacle())

    def _obstacle(self) -> str:
        """Why this controller cannot change a TPM over the task's connection, as a clause; "" if it can."""
        return reach.unable() or reach.obstacle(self._connection)

    def _from_here(self, module: str, options: t.Mapping[str, t.Any], known: remote.Remote) -> Result | None:
        from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._relay import changes, live

        try:
            relay = reach.opened(self, reach.by_shell(self) if self._by_shell else reach.by_python(self))
        except TpmError as failed:
            return _failure(failed)
        try:
            device = live.Live(known, relay.ask)
            return changes.make(module, _plain.plain(options), check=bool(self._task.check_mode), diff=bool(self._task.diff), device=device)
        except remote.ElsewhereError as elsewhere:
            self._left = str(elsewhere)
            return None
        finally:
            relay.close()

    def _writes_files(self) -> bool:
        """Whether Ansible would write the module with its arguments to a file on the device, which stays there if the run dies."""
        # Ansible decides by the connection, the setting, become by su, and ANSIBLE_KEEP_REMOTE_FILES.
        return not self._is_pipelining_enabled("new")

    def _parse_returned_data(self, res: t.Any, *others: t.Any) -> t.Any:
        """Filter what the module printed before Ansible reads it, because Ansible acts on some keys, renames others and warns of them."""
        stderr = _text.shown(res.get("stderr") or "")
        return super()._parse_returned_data({**res, "stdout": self._tamed(str(res.get("stdout") or "")), "stderr": stderr}, *others)

    def _tamed(self, printed: str) -> str:
        try:
            if len(printed) > _answer.MOST_BYTES:
                raise _answer.MalformedError("it is too long")
            try:
                answer = json.loads(_filter_non_json_lines(printed, objects_only=True)[0])
            except ValueError:
                # Not a module's result; Ansible says so, and quotes it. It must not begin like JSON, or Ansible would try to read a result in it.
                return _text.shown(printed).lstrip("{[ ")
            _answer.bounded(answer)
            self._notes = _warnings(answer.pop("warnings", None))
            return json.dumps(_answer.taken(self._table, answer))
        except RecursionError:
            return json.dumps(_malformed(self._task.action, "it is nested too deep"))
        except _answer.MalformedError as malformed:
            return json.dumps(_malformed(self._task.action, malformed.message))


def _taken(module: str, table: _answer.Kind, result: Result) -> Result:
    """The part of a result of this controller that the table describes; what a device has said may be in it."""
    try:
        return _answer.taken(table, result)
    except _answer.MalformedError as malformed:
        return _malformed(module, malformed.message)


def _failure(failed: TpmError) -> Result:
    return {"failed": True, "changed": False, "msg": failed.message, **failed.words()}


def _malformed(module: str, why: str) -> Result:
    name = str(module).rpartition(".")[2]
    says = f"Could not take the answer of {name}: {why}, which no module of this collection sends; see whether the device is what it says it is."
    return {"failed": True, "changed": False, "reason": "malformed_answer", "msg": says}


def _warnings(found: t.Any) -> list[str]:
    """The texts of warnings. A warning is a text, or, from ansible-core 2.19 on, a mapping with the text somewhere in it."""
    listed = found if isinstance(found, list) else []
    texts = [one if isinstance(one, str) else _message(one) for one in listed[:100]]
    return [_text.shown(text) for text in texts if text]


def _message(found: t.Any, levels: int = 8) -> str:
    if isinstance(found, dict) and isinstance(found.get("msg"), str):
        return str(found["msg"])
    inner = list(found.values()) if isinstance(found, dict) else found if isinstance(found, list) else []
    return next(filter(None, (_message(one, levels - 1) for one in inner)), "") if levels else ""


__all__ = ("DeviceAction",)

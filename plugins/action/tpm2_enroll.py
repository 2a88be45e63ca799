# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import datetime
import pathlib
import typing as t
import urllib.parse

from ansible.release import __version__ as ansible_version

from ansible_collections.edgefleet.tpm2.plugins.module_utils import _argspec, _argspec_identity
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.errors import TpmError
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils import (
    _action_support,
    _answer_tables,
    _configuration,
    _files,
    _plain,
    _text,
    _versions,
)
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._device_action import DeviceAction
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._enroll import answers, settings
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._enroll.enrolment import Enrolment
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._enroll.plan import (
    EnrolmentOutcome,
    EnrolmentPlan,
    ExchangeError,
    QuarantineError,
)
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._proven import NO_RECORD, UnprovenError, load_roots
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._registry import ask
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._registry.connection import open_registry
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._registry.store import Registry
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._trust.bundle import Bundle
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._x509 import names

Result = dict[str, t.Any]
CONNECTION = (*_argspec.connection(), *_argspec.execution())
SPEC = {**_argspec.connection(), **_argspec.execution(), **_argspec_identity.enroll()}
EITHER = (("authority", "external_authority"),)


class ActionModule(DeviceAction):
    """The controller's part of enrolment; the device's part is the module ``tpm2_evidence``."""

    def run(self, tmp: str | None = None, task_vars: Result | None = None) -> Result:
        """Enroll the device of this task."""
        result: Result = super(DeviceAction, self).run(tmp, task_vars)
        _valid, given = self.validate_argument_spec(argument_spec=SPEC, mutually_exclusive=EITHER)
        options = _plain.plain(given)
        self._exchanges, bundle = 0, None
        try:
            _configuration.refuse_injection()
            _action_support.check_texts(self._task.args, SPEC)
            names.check_serial(options["serial"])
            plan = self._plan(options)
            bundle = plan.policy.bundle
            result.update(self._enroll(plan, options, task_vars or {}))
        except TpmError as failed:
            result.update(failed=True, msg=_text.shown(failed.message), **failed.words())
        result.update(serial=options["serial"], exchanges=self._exchanges)
        return {**result, **_about_the_bundle(bundle, result)}

    def _path(self, path: str) -> str:
        """A path on the controller; a relative one is relative to the playbook's folder."""
        return str(self._loader.path_dwim(path))

    def _signer(self, options: _action_support.Options | None) -> Result:
        given = {name: value for name, value in (options or {}).items() if value is not None and value is not False}
        for name in ("certificate", "chain", "key"):
            if given.get(name):
                given[name] = self._path(given[name])
        if given.get("pkcs11"):
            given["pkcs11"] = {name: value for name, value in given["pkcs11"].items() if value is not None}
        return given

    def _trust(self, options: _action_support.Options | None) -> Result:
        """The option ``trust`` with its relative paths resolved."""
        trust, fetch = dict(options or {}), dict((options or {}).get("fetch") or {})
        if trust.get("bundle"):
            trust["bundle"] = self._path(trust["bundle"])
        trust["crls"] = [self._path(one) for one in trust.get("crls") or []]
        return {**trust, "fetch": {**fetch, **{name: self._path(fetch[name]) for name in ("cache", "ca_file") if fetch.get(name)}}}

    def _plan(self, options: _action_support.Options) -> EnrolmentPlan:
        trust, external = self._trust(options["trust"]), dict(options["external_authority"] or {})
        if external:
            external = {
                **external,
                "folder": self._path(external["folder"]),
                "authorities": [self._path(one) for one in external["authorities"]],
            }
        named = {name: settings.handle_text(options[name], name) for name in ("ek", "ak", "idevid")}
        facts, observed = options["facts"] or {}, options["observed"] or {}
        reads = dict(observed.get("reads") or {})
        reads["nv_buffer_max"] = (facts.get("capacity") or {}).get("nv_buffer_max")
        return EnrolmentPlan(
            serial=options["serial"],
            where=settings.Handles(**named, idevid_template=options["idevid_template"], ek_template=options["ek_template"]),
            serial_index=settings.serial_index(options["serial_index"], options["serial"]),
            policy=settings.trust_policy(trust),
            **{name: options[name] or "" for name in ("host", "mac", "site", "model")},
            pinned=options["ek_sha256"] or None,
            organization=options["organization"],
            ca=settings.issuer(self._signer(options["authority"])),
            signer=settings.record_signer(self._signer(options["record_signer"])),
            record=bool(options["record_dir"]),
            roots=load_roots(self._path(one) for one in options["record_roots"] or ()),
            external=settings.external_ca(external),
            local=settings.local_key(options["ldevid"]),
            quote=settings.quoted(options["pcrs"]),
            observed=observed,
            reads=reads,
            tpm={name: str(facts[name]) for name in ("manufacturer", "firmware", "model") if facts.get("manufacturer") and facts.get(name)},
            services=settings.certificate_services(trust),
            versions=_versions.all_of_them(ansible_version),
            trust_clock=options["trust_clock"],
        )

    def _enroll(self, plan: EnrolmentPlan, options: _action_support.Options, task_vars: Result) -> Result:
        check = bool(self._task.check_mode)
        where, must_exist = options["registry"], not options["new_registry"]
        with open_registry(where, timeout=options["timeout"], create=not check, must_exist=must_exist) as registry:
            enrolment = Enrolment(registry, plan, self._speaker(options, task_vars), _now)
            try:
                outcome = enrolment.run(check)
            except QuarantineError as distrusted:
                says = f"{plan.serial} is quarantined ({distrusted.reason}): {distrusted.message}"
                return {"failed": True, "state": "quarantined", "reason": distrusted.reason, "msg": _text.shown(says)}
            except UnprovenError as unproven:
                return {"failed": True, "state": ask.UNPROVEN, "reason": unproven.reason, "msg": _text.shown(unproven.message)}
            told = self._shown(outcome, registry, options, check)
            if plan.signs is None and (outcome.device is None or registry.birth_record(outcome.device.ek_name) is None):
                told.update(state=ask.UNPROVEN, reason=NO_RECORD, warnings=[settings.no_birth_record(plan.serial)])
            return told

    def _speaker(self, options: _action_support.Options, task_vars: Result) -> t.Callable[[t.Mapping[str, t.Any]], Result]:
        connection = {name: options[name] for name in CONNECTION if options[name] is not None}

        def exchange(question: t.Mapping[str, t.Any]) -> Result:
            self._exchanges += 1
            answer = self.ask("tpm2_evidence", {**connection, **question}, task_vars, _answer_tables.EVIDENCE)
            if answer.get("failed"):
                said = " ".join(str(answer.get("msg") or "Could not speak with the device: its module gave no answer.").split())
                raise ExchangeError(said, reason=answers.word(answer.get("reason")))
            return t.cast("Result", _plain.plain(answer))

        return exchange

    def _shown(self, outcome: EnrolmentOutcome, registry: Registry, options: _action_support.Options, check: bool) -> Result:
        found: Result = {"changed": outcome.changed, "state": "enrolled", "did": list(outcome.did), "pending": list(outcome.pending)}
        device = outcome.device
        if outcome.verdict is not None:
            found["verdict"] = {name: getattr(outcome.verdict, name) for name in ("rung", "reason", "detail", "revocation")}
            found["overlooked"] = list(outcome.verdict.overlooked)
        if outcome.fetched is not None:
            found["fetched"] = {"vendor": outcome.fetched.service.name, "kept": outcome.fetched.kept}
        if device is None:
            return found
        if device.verdict is not None:
            found["verdict"] = {name: getattr(device.verdict, name) for name in ("rung", "reason", "detail", "revocation")}
        found.update(
            {name: getattr(device, name) for name in ("ek_name", "ak_name", "idevid_name")},
            certificates=ask.describe(device, None)["certificates"],
        )
        if outcome.pcrs:
            values = {str(one["index"]): one["digest"] for one in outcome.pcrs}
            found["pcrs"] = {"bank": outcome.pcrs[0]["bank"], "values": values}
        if options["record_dir"]:
            where = pathlib.Path(self._path(options["record_dir"])) / f"{urllib.parse.quote(device.serial, safe='')}.birth.json"
            # After an enrolment, a file there is another device's, or this device's from a registry that was lost.
            text = (
                registry.birth_record(device.ek_name)
                if "enroll" in outcome.did or not _files.is_there(where, f"the birth record {where}")
                else None
            )
            found["record"] = str(where)
            if text is not None and (check or _files.write(where, text.encode())):
                found["changed"] = True
        return found


def _about_the_bundle(bundle: Bundle | None, result: Result) -> Result:
    """The trust bundle for the result. A failure has it too, because the device's CA may be one that was left out."""
    if bundle is None:
        return {}
    lost = bundle.warning()
    return {"trust_bundle": bundle.describe(), **({"warnings": [*result.get("warnings", []), _text.shown(lost)]} if lost else {})}


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.timezone.utc)

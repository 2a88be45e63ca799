# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The inputs of an enrolment, its outcome, and its errors."""

from __future__ import annotations

import secrets
import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import nv, pcr
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.errors import ReasonedError, TpmError
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._authority import authority
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._ek_verdict import EkVerdict
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._enroll import answers, settings
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._registry import records
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._trust import ladder, services
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._x509.certificates import pem

NONCE_BYTES = 32
# A device's failure with one of these reasons means that another TPM answers; any other may be a fault of the connection.
ANOTHER_TPM = ("not_activated", "other_key")


class ExchangeError(TpmError):
    """The device's part of an exchange failed; message and reason come from the device."""

    reason = "exchange"


class QuarantineError(ReasonedError):
    """A device is not trusted; ``reason`` is one stable word."""


class EnrolmentPlan(t.NamedTuple):
    """The inputs of one enrolment. ``reads``, ``observed`` and ``tpm``: what earlier tasks have read of the device.

    ``record``: write the birth record to a file. ``roots``: certificates (PEM) whose birth records count, beside this run's own signer.
    ``services``: where to fetch an EK's certificate if the TPM does not have it.
    ``trust_clock``: the controller's clock is right, although the registry's last event is later.
    """

    serial: str
    where: settings.Handles
    serial_index: nv.NvPublic
    policy: ladder.Policy
    host: str = ""
    mac: str = ""
    site: str = ""
    model: str = ""
    pinned: str | None = None
    organization: str | None = None
    ca: authority.Authority | None = None
    signer: authority.Signer | None = None
    record: bool = False
    roots: tuple[str, ...] = ()
    external: settings.External | None = None
    local: settings.LocalKey | None = None
    quote: pcr.Selection | None = None
    observed: t.Any = None
    reads: t.Mapping[str, t.Any] = {}
    tpm: t.Mapping[str, str] = {}
    versions: t.Mapping[str, str] = {}
    services: services.Services | None = None
    trust_clock: bool = False

    @property
    def place(self) -> records.Place:
        """Where the inventory says that the device is."""
        return records.Place(self.host, self.mac, self.site)

    @property
    def signs(self) -> authority.Signer | None:
        """The signer of birth records, or None."""
        return self.signer or self.ca

    @property
    def anchors(self) -> tuple[str, ...]:
        """The certificates (PEM) whose birth records count."""
        return self.roots if self.signs is None else (*self.roots, pem([self.signs.certificate]))

    @property
    def authorities(self) -> tuple[str | bytes, ...]:
        """The CAs, our own and external ones, that issue certificates for devices."""
        return (*(self.external.authorities if self.external else ()), *((pem([self.ca.certificate]),) if self.ca else ()))


class EnrolmentOutcome(t.NamedTuple):
    """The outcome of an enrolment.

    ``pending``: the kinds of certificates that an external CA has not issued yet. ``pcrs``: the PCR values that its AK quoted in this run,
    verified, in the form of the birth record. ``fetched``: the certificate of its EK, if a vendor's service gave it.
    """

    changed: bool
    device: records.Device | None
    did: tuple[str, ...] = ()
    verdict: EkVerdict | None = None
    pending: tuple[str, ...] = ()
    pcrs: t.Sequence[t.Mapping[str, t.Any]] = ()
    fetched: services.Fetched | None = None


Exchange = t.Callable[[t.Mapping[str, t.Any]], answers.Answer]


def judged(exchange: Exchange) -> Exchange:
    """The same exchange, but QuarantineError is raised in place of ExchangeError if another TPM answers."""

    def ask(question: t.Mapping[str, t.Any]) -> answers.Answer:
        try:
            return exchange(question)
        except ExchangeError as error:
            if error.reason in ANOTHER_TPM:
                raise QuarantineError(error.message, error.reason) from None
            raise

    return ask


def session_key(handle: str, ek_name: str) -> dict[str, dict[str, str]]:
    """The part of a question that names the only key to which the device may salt its sessions: a registered EK, by its Name in hex."""
    return {"session_key": {"handle": handle, "name": ek_name}}


def nonce() -> bytes:
    """Fresh random bytes."""
    return secrets.token_bytes(NONCE_BYTES)


__all__ = ("Exchange", "ExchangeError", "EnrolmentOutcome", "EnrolmentPlan", "QuarantineError", "judged", "nonce", "session_key")

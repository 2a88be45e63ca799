# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""What an enrolment is given, what comes of it, and how it can fail."""

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
# The reasons of a device's failure that mean that another TPM answers; everything else may be a loose cable.
ANOTHER_TPM = ("not_activated", "other_key")


class ExchangeError(TpmError):
    """The device's side of an exchange failed; message and reason are the device's."""

    reason = "exchange"


class QuarantineError(ReasonedError):
    """A device is not believed; C(reason) is one stable word."""


class EnrolmentPlan(t.NamedTuple):
    """Everything that one enrolment is told. C(reads), C(observed) and C(tpm) are what earlier tasks have read of the device.

    C(record): the birth record is asked for as a file. C(roots): certificates (PEM) whose birth records count, beside this run's own signer.
    C(services): where an EK's certificate may be fetched that the TPM does not hold.
    C(trust_clock): the controller's clock is right though the registry's last event is of a time that is still to come.
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
        """Who signs birth records, if somebody does."""
        return self.signer or self.ca

    @property
    def anchors(self) -> tuple[str, ...]:
        """Whose birth records count."""
        return self.roots if self.signs is None else (*self.roots, pem([self.signs.certificate]))

    @property
    def authorities(self) -> tuple[str | bytes, ...]:
        """The CAs, here and elsewhere, that issue certificates for devices."""
        return (*(self.external.authorities if self.external else ()), *((pem([self.ca.certificate]),) if self.ca else ()))


class EnrolmentOutcome(t.NamedTuple):
    """What became of a device.

    C(pending): the kinds of certificates that are still out; C(pcrs): what its AK has quoted in this run, verified, as its birth record has it;
    C(fetched): the certificate of its EK, where the TPM has none and a vendor's service gave it.
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
    """The same exchange; where another TPM answers, QuarantineError is raised in place of ExchangeError."""

    def ask(question: t.Mapping[str, t.Any]) -> answers.Answer:
        try:
            return exchange(question)
        except ExchangeError as error:
            if error.reason in ANOTHER_TPM:
                raise QuarantineError(error.message, error.reason) from None
            raise

    return ask


def session_key(handle: str, ek_name: str) -> dict[str, dict[str, str]]:
    """The part of a question that names the one key to which the device's sessions may be salted: a registered EK, by its Name in hex."""
    return {"session_key": {"handle": handle, "name": ek_name}}


def nonce() -> bytes:
    """Fresh random bytes."""
    return secrets.token_bytes(NONCE_BYTES)


__all__ = ("Exchange", "ExchangeError", "EnrolmentOutcome", "EnrolmentPlan", "QuarantineError", "judged", "nonce", "session_key")

# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Check whether the controller's clock can be right, because an identity certificate with wrong dates can never be replaced.

A clock is refused as slow if it is before the registry's last event, the start of the CA's or the EK's certificate, or the release of
this collection. It is refused as fast if the CA has expired by then. A long time without an event proves nothing, so it is only noted,
as old CRLs are.
"""

from __future__ import annotations

import datetime

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.errors import ReasonedError
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._enroll.plan import EnrolmentPlan
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._registry import faults, rows
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._registry.store import Registry
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._x509 import path
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._x509.certificates import moment

# Reasons; the registry has one more.
BEFORE_RELEASE = "clock_before_release"
BEFORE_CA = "clock_before_ca"
AFTER_CA = "clock_after_ca"
BEFORE_EK_CERTIFICATE = "clock_before_ek_certificate"

# The date of the first release of this collection.
RELEASED = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)
# After so long without an event the clock may be ahead.
LONG = datetime.timedelta(days=90)


class ClockError(ReasonedError):
    """The controller's clock cannot be right; ``reason`` is one stable word. Nothing is issued, written or registered."""


def _refuse(plan: EnrolmentPlan, now: datetime.datetime, what: str, cure: str, reason: str) -> ClockError:
    return ClockError(
        f"Could not issue anything for {plan.serial}: the clock of this controller says {moment(now)}, {what}; {cure}.", reason
    )


def check(registry: Registry, plan: EnrolmentPlan, now: datetime.datetime) -> str:
    """Refuse a clock that cannot be right, before anything is issued; return a note on one that may be wrong, or an empty text.

    Raises ClockError: clock_before_release, clock_before_ca, clock_after_ca, clock_behind_registry.
    """
    if now < RELEASED:
        raise _refuse(plan, now, f"before this collection was released ({RELEASED:%Y-%m-%d})", "set the clock", BEFORE_RELEASE)
    for signer in (plan.ca, plan.signer):
        for one in [signer.certificate, *signer.upper] if signer is not None else ():
            found = path.out_of_time(one, now)
            if found is not None:
                cure = "set the clock, or, if it is right, renew that certificate"
                raise _refuse(plan, now, f"and {found.clause}", cure, AFTER_CA if found.reason == path.EXPIRED else BEFORE_CA)
    last = registry.newest()
    if last is not None and last - now > rows.SKEW:
        _behind(registry, plan, now, last)
    if last is None or now - last <= LONG:
        return ""
    return f"The clock of the controller was {(now - last).days} days ahead of the last event of the registry."


def _behind(registry: Registry, plan: EnrolmentPlan, now: datetime.datetime, last: datetime.datetime) -> None:
    if not plan.trust_clock:
        raise _refuse(plan, now, f"before the last event of the registry ({moment(last)})", rows.CURE, faults.CLOCK_BEHIND)
    if registry.writable:
        registry.note(rows.CLOCK_TRUSTED, serial=plan.serial, host=plan.host, detail={"last_event": moment(last)})


def not_yet_valid(plan: EnrolmentPlan, now: datetime.datetime) -> ClockError:
    """The error if a good EK certificate is not valid yet: vendors do not certify in advance, so the clock is probably behind."""
    what = "when its EK certificate, or a CA above it, is not valid yet"
    return _refuse(plan, now, what, "set the clock, or, if it is right, ask the vendor", BEFORE_EK_CERTIFICATE)


__all__ = ("ClockError", "check", "not_yet_valid")

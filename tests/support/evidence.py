# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shared code of the tests of tpm2_evidence: a device that is provisioned but not enrolled, and an enrolment's questions to it."""

from __future__ import annotations

import hashlib
import pathlib
import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import names
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._evidence import credentials
from support import module
from support.swtpm import Swtpm
from support.tools import Tools

MODULE = "tpm2_evidence"
EK, AK, IDEVID, LDEVID, INDEX = "0x81010001", "0x81020001", "0x81020000", "0x81000220", "0x01800010"
SERIAL = b"EDGE-0001-TEST"
NONCE = hashlib.sha256(b"a nonce of the test").hexdigest()
PROFILE: list[dict[str, t.Any]] = [
    {"primary_key": {"template": "srk_ecc_p256"}},
    {"primary_key": {"template": "ek_ecc_p256", "handle": EK}},
    {"primary_key": {"template": "iak_ecc_p256"}},
    {"nv_index": {"index": INDEX, "content": SERIAL.decode(), "write_once": True}},
]
# Everything that can be collected.
COLLECT = {
    "nonce": NONCE,
    "serial_size": len(SERIAL),
    "pcrs": {"indices": [0, 7]},
    "idevid": {},
    "ldevid": {"handle": LDEVID},
    "certify": [LDEVID],
    "certify_idevid": True,
}
Json = dict[str, t.Any]


def provision(folder: pathlib.Path, blank: pathlib.Path, python: str, *questions: Json) -> None:
    """Make the state of such a device from a blank TPM's; with `questions`, these have been asked already."""
    tpm = Swtpm(folder)
    tpm.restore(blank)
    try:
        module.run("tpm2_profile", {"tcti": tpm.tcti, "resources": PROFILE}, python=python).expect_ok()
        for question in questions:
            module.run(MODULE, {"tcti": tpm.tcti, **question}, python=python).expect_ok()
        tpm.stop()
    finally:
        tpm.close()


def public(swtpm: Swtpm, handle: str, folder: pathlib.Path) -> names.Public:
    """The public area of a key as tpm2-tools reads it."""
    Tools(swtpm.tcti).run("readpublic", "-Q", "-c", handle, "-o", folder / "public")
    return names.parse_public((folder / "public").read_bytes()[2:])


def key(swtpm: Swtpm, handle: str, folder: pathlib.Path) -> Json:
    """A key as the second exchange takes it."""
    return {"handle": handle, "public": public(swtpm, handle, folder).raw.hex()}


def challenge(swtpm: Swtpm, folder: pathlib.Path, *, ek: str = EK, ak: str = AK) -> tuple[credentials.Challenge, Json]:
    """A challenge, and the option `activate` for it."""
    made = credentials.Challenge(public(swtpm, ek, folder), public(swtpm, ak, folder).name)
    credential = {"id_object": made.credential.id_object.hex(), "encrypted_secret": made.credential.encrypted_secret.hex()}
    return made, {"nonce": made.nonce.hex(), "ek": key(swtpm, ek, folder), "ak": key(swtpm, ak, folder), **credential}

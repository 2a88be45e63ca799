# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every parser of a file or an answer that comes from a stranger, with right ones that were spoilt at random: a value or an error of ours."""

from __future__ import annotations

import datetime
import hashlib
import pathlib
import typing as t

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from support import birth, ek_lab
from support.fuzz import ROUNDS, Rounds, spoilt

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import keyfile
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.errors import InputError, TpmError
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._manifest import manifest
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._trust import bundle, crl
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._x509 import canonical, certificates

TPM, VENDOR, SUBORDINATE = birth.soft_tpm(), ek_lab.root(), ek_lab.root().sub("Sub CA")
CERTIFICATE = VENDOR.ek(TPM.ek.public_key())
CSV = b"serial,host,ek_sha256,site,model\nEF-0001,edge-01," + b"ab" * 32 + b",lab,EF-100\nEF-0002,edge-02,,lab,EF-100\n"
YAML = b"- {serial: EF-0001, host: edge-01, site: lab}\n- serial: EF-0002\n  host: edge-02\n  model: EF-100\n"
KEY = keyfile.KeyFile(False, True, 0x40000001, TPM.ak_public, bytes(range(64)))
Parse = t.Callable[[bytes, pathlib.Path], object]


def _key_file(data: bytes, _folder: pathlib.Path) -> object:
    return keyfile.read(data, "x.pem")


def _manifest(suffix: str) -> Parse:
    def parse(data: bytes, folder: pathlib.Path) -> object:
        path = folder / f"manifest{suffix}"
        path.write_bytes(data)
        return manifest.load(path)

    return parse


def _bundle(data: bytes, _folder: pathlib.Path) -> object:
    read = bundle.read_bundle(data, "bundle.pem", hashlib.sha256(data).hexdigest())
    return read.describe()


def _crl(data: bytes, folder: pathlib.Path) -> object:
    path = folder / "crl"
    path.write_bytes(data)
    way = [certificates.parse(CERTIFICATE), certificates.parse(VENDOR.der)]
    return crl.check(way, bundle.load_crls([str(path)]), datetime.datetime.now(datetime.UTC))


def _canonical(data: bytes, _folder: pathlib.Path) -> object:
    return canonical.copy(data), canonical.subject_texts(data)


# The parser, what it takes, and what else it may raise: what its caller turns into a sentence.
PARSERS: dict[str, tuple[Parse, bytes, tuple[type[Exception], ...]]] = {
    "key file": (_key_file, keyfile.write(KEY).encode(), (InputError,)),
    "manifest in csv": (_manifest(".csv"), CSV, ()),
    "manifest in yaml": (_manifest(".yml"), YAML, ()),
    "trust bundle": (_bundle, ek_lab.pem(VENDOR.der, SUBORDINATE.der, ek_lab.nuvoton_root().der), ()),
    "crl": (_crl, VENDOR.crl(7).public_bytes(Encoding.DER), ()),
    "canonical copy": (_canonical, ek_lab.nuvoton_root().der, (ValueError,)),
}


@pytest.mark.parametrize("name", PARSERS)
def test_files(name: str, rounds: Rounds, tmp_path: pathlib.Path) -> None:
    parse, good, expected = PARSERS[name]
    assert parse(good, tmp_path)
    refused = 0
    for dice in rounds(name):
        data = spoilt(good, dice)
        try:
            parse(data, tmp_path)
        except TpmError as error:
            refused += 1
            # The problems of a manifest are a line each.
            assert str(error).replace("\n", "").isprintable() and len(str(error)) < 20000, data.hex()
        except expected:
            refused += 1
        except Exception as error:
            raise AssertionError(f"{type(error).__name__}: {error}: {data.hex()}") from error
    assert refused > ROUNDS // 20

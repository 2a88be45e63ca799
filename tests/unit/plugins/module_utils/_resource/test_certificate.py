# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates as files: planned, written, replaced, removed; the TPM is asked nothing for them."""

from __future__ import annotations

import os
import pathlib
import typing as t

import pytest
from support import ek_lab
from unit.bed import Bed

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import errors


def pem(name: str) -> str:
    """A certificate of its own."""
    return ek_lab.pem(ek_lab.root(name).der).decode()


OLD, NEW, CHAIN = pem("old"), pem("new"), pem("chain")


def certificate(bed: Bed, name: str = "iak.cert.pem", content: str | None = NEW, **options: t.Any) -> dict[str, dict[str, t.Any]]:
    return {"certificate": {"path": bed.path(name), **({} if content is None else {"content": content}), **options}}


def test_written_once(bed: Bed) -> None:
    assert bed.converge(certificate(bed)) == []
    path = pathlib.Path(bed.path("iak.cert.pem"))
    assert path.read_text() == NEW
    assert path.stat().st_mode & 0o777 == 0o644
    assert bed.tpm.reads == [] and bed.tpm.opened == 0


def test_a_folder_is_made(bed: Bed) -> None:
    bed.converge(certificate(bed, "not/there/yet/iak.cert.pem"))
    assert pathlib.Path(bed.path("not/there/yet/iak.cert.pem")).read_text() == NEW


def test_the_plan_shows_before_and_after(bed: Bed) -> None:
    path = bed.path("iak.cert.pem")
    outcome = bed.run(certificate(bed), check=True)
    assert [step["sentence"] for step in outcome.steps] == [f"write the certificate to {path}"]
    assert outcome.diff == {"before": {path: None}, "after": {path: NEW}}
    assert not os.path.exists(path)


def test_a_newer_certificate_takes_the_place_of_an_older_one(bed: Bed) -> None:
    bed.run(certificate(bed, content=OLD))
    outcome = bed.run(certificate(bed), check=True)
    assert outcome.diff == {"before": {bed.path("iak.cert.pem"): OLD}, "after": {bed.path("iak.cert.pem"): NEW}}
    bed.converge(certificate(bed))
    assert pathlib.Path(bed.path("iak.cert.pem")).read_text() == NEW


def test_a_chain_is_one_file(bed: Bed) -> None:
    bed.converge(certificate(bed, content=NEW + CHAIN))
    assert pathlib.Path(bed.path("iak.cert.pem")).read_text() == NEW + CHAIN


def test_blanks_around_it_are_no_change(bed: Bed) -> None:
    bed.run(certificate(bed))
    assert bed.plan(certificate(bed, content=f"\n  {NEW}\n\n")) == []


def test_two_certificates_in_one_profile(bed: Bed) -> None:
    items = [certificate(bed), certificate(bed, "idevid.cert.pem", OLD)]
    bed.converge(*items)
    assert [pathlib.Path(bed.path(name)).read_text() for name in ("iak.cert.pem", "idevid.cert.pem")] == [NEW, OLD]
    with pytest.raises(errors.InputError, match="iak.cert.pem"):
        bed.run(certificate(bed), certificate(bed, content=OLD))


def test_the_mode_of_an_old_file_stays(bed: Bed) -> None:
    bed.run(certificate(bed, content=OLD))
    os.chmod(bed.path("iak.cert.pem"), 0o640)
    bed.run(certificate(bed))
    assert os.stat(bed.path("iak.cert.pem")).st_mode & 0o777 == 0o640


def test_something_else_stays_unless_told(bed: Bed) -> None:
    path = pathlib.Path(bed.path("iak.cert.pem"))
    path.write_text("a shopping list")
    for state in ("present", "absent"):
        with pytest.raises(errors.MismatchError, match="it holds something else; name another file, or set on_mismatch: replace"):
            bed.run(certificate(bed, state=state))
        assert path.read_text() == "a shopping list"
    outcome = bed.run(certificate(bed, on_mismatch="replace"), check=True)
    assert outcome.diff["before"] == {str(path): "something else"}
    bed.converge(certificate(bed, on_mismatch="replace"))
    assert path.read_text() == NEW


def test_an_empty_file_is_nobodys(bed: Bed) -> None:
    pathlib.Path(bed.path("iak.cert.pem")).write_text("")
    bed.converge(certificate(bed))


def test_absent(bed: Bed) -> None:
    assert bed.plan(certificate(bed, content=None, state="absent")) == []
    bed.run(certificate(bed))
    assert bed.plan(certificate(bed, content=None, state="absent")) == [f"remove the certificate {bed.path('iak.cert.pem')}"]
    bed.converge(certificate(bed, content=None, state="absent"))
    assert not os.path.exists(bed.path("iak.cert.pem"))


def test_something_else_is_removed_when_told(bed: Bed) -> None:
    path = pathlib.Path(bed.path("iak.cert.pem"))
    path.write_text("a shopping list")
    bed.converge(certificate(bed, content=None, state="absent", on_mismatch="replace"))
    assert not path.exists()


BAD = {
    "missing": None,
    "empty": "",
    "blank": "   \n",
    "the body alone": "MIIB",
    "a private key": "-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----",
    "without an end": NEW.replace("-----END CERTIFICATE-----", ""),
    "a second one without an end": NEW + "-----BEGIN CERTIFICATE-----\n",
    "an end too many": NEW + "-----END CERTIFICATE-----\n",
    "turned round": "-----END CERTIFICATE-----\nMIIB\n-----BEGIN CERTIFICATE-----\n",
    "one within the other": NEW.replace("-----BEGIN CERTIFICATE-----", "-----BEGIN CERTIFICATE-----\n" * 2) + "-----END CERTIFICATE-----\n",
    "no base64": "-----BEGIN CERTIFICATE-----\n{{ certificate }}\n-----END CERTIFICATE-----\n",
    "nothing in it": "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n",
    "cut off": ek_lab.pem(ek_lab.root("cut").der[:-1]).decode(),
    "no certificate in it": ek_lab.pem(b"\x04\x03abc").decode(),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_no_certificate_is_refused(bed: Bed, case: str) -> None:
    with pytest.raises(errors.InputError) as caught:
        bed.run(certificate(bed, content=BAD[case]))
    assert caught.value.message == (
        f"Could not plan the certificate {bed.path('iak.cert.pem')}: content is not a PEM certificate; give it with its BEGIN and END lines "
        "(item 1 of resources, certificate)."
    )


def test_a_relative_path_is_refused(bed: Bed) -> None:
    with pytest.raises(errors.InputError, match="it is not an absolute path"):
        bed.run({"certificate": {"path": "iak.cert.pem", "content": NEW}})


def test_a_path_that_cannot_be_written_is_found_before_anything_is_changed(bed: Bed) -> None:
    pathlib.Path(bed.path("file")).write_text("")
    with pytest.raises(errors.TpmError, match="file"):
        bed.run({"primary_key": {"template": "srk_ecc_p256"}}, certificate(bed, "file/iak.cert.pem"))
    assert bed.tpm.objects == {}

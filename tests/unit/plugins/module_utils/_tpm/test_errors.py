# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Names, subjects and sentences of response codes against known answers; the exceptions; the page in the documentation."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import errors, rc_table

ROOT = Path(__file__).resolve().parents[5]
KINDS = ("ABSENT", "PERMISSION", "BUSY", "NO_ANSWER", "BROKEN", "NOT_A_TPM", "UNSUPPORTED", "OTHER")

# Codes seen on a TPM: name, subject, warning, and a word that the advice must not lose.
SEEN = [
    (0x100, "TPM_RC_INITIALIZE", "", False, "tpm2_startup"),
    (0x101, "TPM_RC_FAILURE", "", False, "tpm2_gettestresult"),
    (0x120, "TPM_RC_DISABLED", "", False, "platform"),
    (0x128, "TPM_RC_PCR_CHANGED", "", False, "run again"),
    (0x12F, "TPM_RC_AUTH_UNAVAILABLE", "", False, "policy"),
    (0x146, "TPM_RC_NV_RANGE", "", False, "fit"),
    (0x148, "TPM_RC_NV_LOCKED", "", False, "reboot"),
    (0x149, "TPM_RC_NV_AUTHORIZATION", "", False, "hierarchy"),
    (0x14A, "TPM_RC_NV_UNINITIALIZED", "", False, "run the task again"),
    (0x14B, "TPM_RC_NV_SPACE", "", False, "undefine"),
    (0x14C, "TPM_RC_NV_DEFINED", "", False, "tpm2_info"),
    (0x08E, "TPM_RC_AUTH_FAIL", "", False, "platform"),
    (0x184, "TPM_RC_VALUE", "handle 1", False, "handle"),
    (0x284, "TPM_RC_VALUE", "handle 2", False, "handle"),
    (0x185, "TPM_RC_HIERARCHY", "handle 1", False, "firmware"),
    (0x18B, "TPM_RC_HANDLE", "handle 1", False, "handle"),
    (0x28B, "TPM_RC_HANDLE", "handle 2", False, "handle"),
    (0x1C4, "TPM_RC_VALUE", "parameter 1", False, "PCR"),
    (0x1CD, "TPM_RC_RANGE", "parameter 1", False, "0x817fffff"),
    (0x1D5, "TPM_RC_SIZE", "parameter 1", False, "smaller"),
    (0x2D5, "TPM_RC_SIZE", "parameter 2", False, "smaller"),
    (0x1DF, "TPM_RC_INTEGRITY", "parameter 1", False, "escrow"),
    (0x2C2, "TPM_RC_ATTRIBUTES", "parameter 2", False, "template"),
    (0x2C4, "TPM_RC_VALUE", "parameter 2", False, "value"),
    (0x902, "TPM_RC_OBJECT_MEMORY", "", True, "/dev/tpmrm0"),
    (0x903, "TPM_RC_SESSION_MEMORY", "", True, "/dev/tpmrm0"),
    (0x910, "TPM_RC_REFERENCE_H0", "handle 1", True, "resource manager"),
    (0x916, "TPM_RC_REFERENCE_H6", "handle 7", True, "resource manager"),
    (0x918, "TPM_RC_REFERENCE_S0", "session 1", True, "resource manager"),
    (0x91E, "TPM_RC_REFERENCE_S6", "session 7", True, "resource manager"),
    (0x921, "TPM_RC_LOCKOUT", "", True, "do not try further"),
    (0x922, "TPM_RC_RETRY", "", True, "again"),
    (0x98E, "TPM_RC_AUTH_FAIL", "session 1", False, "stop"),
    (0xA8E, "TPM_RC_AUTH_FAIL", "session 2", False, "stop"),
    (0x99D, "TPM_RC_POLICY_FAIL", "session 1", False, "PCR"),
    (0x9A2, "TPM_RC_BAD_AUTH", "session 1", False, "owner_auth"),
    (0xFC4, "TPM_RC_VALUE", "parameter 15", False, "value"),  # parameters go to 15, sessions and handles to 7
    (0x60034, "TSS2_FAPI_RC_NOT_PROVISIONED", "", False, "FAPI"),
    (0x70007, "TSS2_ESYS_RC_BAD_SEQUENCE", "", False, "bug"),
    (0x70018, "TSS2_ESYS_RC_BAD_TR", "", False, "bug"),
    (0x7001B, "TSS2_ESYS_RC_RSP_AUTH_FAILED", "", False, "attack"),
    (0x80012, "TSS2_SYS_RC_INSUFFICIENT_CONTEXT", "", False, "TPM 2.0"),
    (0x90006, "TSS2_MU_RC_INSUFFICIENT_BUFFER", "", False, "size"),
    (0xA0008, "TSS2_TCTI_RC_NO_CONNECTION", "", False, "tcti"),
    (0xA0009, "TSS2_TCTI_RC_TRY_AGAIN", "", False, "again"),
    (0xA000A, "TSS2_TCTI_RC_IO_ERROR", "", False, "dmesg"),
    (0xA0015, "TSS2_TCTI_RC_NOT_SUPPORTED", "", False, "install"),
    (0xB0143, "TPM_RC_COMMAND_CODE", "", False, "firmware"),
    (0xB09A2, "TPM_RC_BAD_AUTH", "session 1", False, "owner_auth"),
]


@pytest.mark.parametrize(("rc", "name", "subject", "warning", "advice"), SEEN, ids=[hex(row[0]) for row in SEEN])
def test_codes_seen_on_a_tpm(rc: int, name: str, subject: str, warning: bool, advice: str) -> None:
    code = errors.decode(rc)
    assert (code.rc, code.name, code.subject, code.warning) == (rc, name, subject, warning)
    assert advice in code.cure


def test_auth_codes_say_whether_the_attempt_was_counted() -> None:
    assert "without effect on the dictionary attack counter" in errors.decode(0x9A2).meaning
    assert "counter went up" in errors.decode(0x98E).meaning
    assert "lockout authorization itself" in errors.decode(0x921).meaning


@pytest.mark.parametrize(
    ("rc", "layer"),
    [
        (0x9A2, "tpm"),
        (0x60001, "fapi"),
        (0x70001, "esys"),
        (0x80001, "sys"),
        (0x90001, "mu"),
        (0xA0001, "tcti"),
        (0xB0143, "rm"),
        (0xF0001, "unknown"),
    ],
)
def test_layers(rc: int, layer: str) -> None:
    assert errors.decode(rc).layer == layer


@pytest.mark.parametrize("rc", [0x17E, 0x0BF, 0x97E, 0x1000, 0xFFFF, 0xAF801, 0xF0001, 0x1000100, 0xFFFFFFFF, 0xB01000])
def test_an_unknown_code_is_named_by_its_number(rc: int) -> None:
    code = errors.decode(rc)
    assert code.name == f"UNKNOWN_0x{rc:x}"
    assert f"UNKNOWN_0x{rc:x} (0x{rc:x}" in errors.sentence("read", "a PCR", rc)


def test_every_code_can_be_decoded() -> None:
    for layer in range(0x10):
        for low in range(0x1100):
            code = errors.decode(layer << 16 | low)
            assert code.name and code.meaning and code.cure
    assert errors.decode(-1).name == "UNKNOWN_0xffffffff"


def test_a_vendor_code_points_to_the_maker() -> None:
    code = errors.decode(0x500)
    assert (code.name, code.meaning) == ("UNKNOWN_0x500", rc_table.VENDOR[0])
    assert not errors.decode(0x801).warning


def test_is_rc_ignores_position_and_resource_manager_but_no_other_layer() -> None:
    assert errors.is_rc(0x9A2, errors.RC_BAD_AUTH)
    assert errors.is_rc(0x9A2, 0x1A2)
    assert errors.is_rc(0xB0143, 0x143)
    assert errors.is_rc(0xA000A, 0xA000A)
    assert errors.is_rc(0x18B, errors.RC_VALUE, errors.RC_HANDLE)
    assert not errors.is_rc(0x98E, errors.RC_BAD_AUTH)
    assert not errors.is_rc(0x60020, 0x70020)
    assert not errors.is_rc(0xA0100, errors.RC_INITIALIZE)
    assert not errors.is_rc(0x921, errors.RC_RETRY)
    assert not errors.is_rc(0, 0x9A2)
    assert not errors.is_rc(None, 0x9A2)


def test_retryable_codes() -> None:
    assert sorted(errors.RETRYABLE) == [0x908, 0x90A, 0x920, 0x922, 0x923]


def test_named_constants_have_the_names_of_the_table() -> None:
    constants = {name: value for name, value in vars(errors).items() if name.startswith("RC_")}
    assert len(constants) > 20
    assert {name: "RC_" + rc_table.TPM[value][0] for name, value in constants.items()} == {name: name for name in constants}


# The sentence ---------------------------------------------------------


def test_the_sentence_in_full() -> None:
    assert errors.sentence("define", "NV index 0x01800010", 0x9A2) == (
        "Could not define NV index 0x01800010: TPM_RC_BAD_AUTH (0x9a2, session 1): the auth value is wrong, without effect on the"
        " dictionary attack counter; give the value that was set on this device (owner_auth, endorsement_auth, platform_auth, or the"
        " object's auth)."
    )


def test_the_caller_knows_a_better_cure() -> None:
    text = errors.sentence("unseal", "/etc/key.pem", 0x99D, "reseal it with playbook reseal.")
    assert text.endswith("; reseal it with playbook reseal.")


def test_the_sentence_names_the_resource_manager() -> None:
    assert "TPM_RC_COMMAND_CODE (0xb0143, from the resource manager): " in errors.sentence("run", "PolicyAuthorizeNV", 0xB0143)


def test_whatever_it_is_given_the_sentence_is_one_line() -> None:
    text = errors.sentence("seal", "to\n /a\tb", 0x1D5, "make it\nsmaller. \n")
    assert text.startswith("Could not seal to /a b: ")
    assert text.endswith("; make it smaller.")
    assert len(text.splitlines()) == 1


def rows() -> list[tuple[str, str, str]]:
    exact = [(hex(rc), *row) for rc, row in rc_table.EXACT.items()]
    return [*rc_table.TPM.values(), *rc_table.TSS.values(), *exact, ("", *rc_table.UNKNOWN), ("", *rc_table.VENDOR)]


def test_the_words_are_clauses_of_one_sentence() -> None:
    for name, meaning, cure in rows():
        for clause in (meaning, cure):
            assert clause and clause == clause.strip(), name
            assert not re.search(r"[.;](\s|$)|[\n|]", clause), (name, clause)
            assert clause.startswith("FAPI") or clause[0].islower(), (name, clause)


def test_exact_codes_belong_to_a_row() -> None:
    for rc in rc_table.EXACT:
        assert not errors.decode(rc).name.startswith("UNKNOWN")


# The exceptions ---------------------------------------------------------


def test_one_family() -> None:
    family = [errors.InputError, errors.MismatchError, errors.CapacityError, errors.StateError, errors.DependencyError]
    for kind in family:
        error = kind("No.")
        assert isinstance(error, errors.TpmError)
        assert (error.message, error.rc, str(error)) == ("No.", None, "No.")


def test_a_failure_has_a_word_for_programs() -> None:
    family = (errors.TpmError, errors.InputError, errors.MismatchError, errors.CapacityError, errors.StateError, errors.DependencyError)
    assert [kind("No.").words() for kind in family] == [
        {"reason": word} for word in ("failed", "input", "mismatch", "capacity", "state", "dependency")
    ]
    assert errors.StateError("No.", reason="no_key", object="0x81010001").words() == {"reason": "no_key", "object": "0x81010001"}
    assert errors.TpmResponseError("define", "NV index 0x01800010", 0x9A2).words() == {"reason": "TPM_RC_BAD_AUTH"}
    assert errors.from_rc("define", "NV index 0x01800010", 0x7001B).reason == "TSS2_ESYS_RC_RSP_AUTH_FAILED"


def _said() -> set[str]:
    """The words for failures that the device's side uses."""
    found = {
        one.reason for one in vars(errors).values() if isinstance(one, type) and issubclass(one, errors.TpmError) and "reason" in vars(one)
    }
    found |= {errors.TransportError("No.", kind).reason for name, kind in vars(errors).items() if name in KINDS}
    for path in [*(ROOT / "plugins/module_utils").rglob("*.py"), *(ROOT / "plugins/modules").glob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.keyword) and node.arg == "reason" and isinstance(node.value, ast.Constant):
                found.add(str(node.value.value))
    return found


def test_every_word_is_in_the_table_and_the_table_has_no_others() -> None:
    assert _said() - {""} == set(rc_table.REASONS)
    assert all(re.fullmatch("[a-z][a-z0-9_]*", word) for word in rc_table.REASONS)


def test_a_response_error_carries_its_sentence() -> None:
    error = errors.TpmResponseError("define", "NV index 0x01800010", 0x14B)
    assert (error.rc, error.attempt, error.obj) == (0x14B, "define", "NV index 0x01800010")
    assert str(error) == error.message == errors.sentence("define", "NV index 0x01800010", 0x14B)


@pytest.mark.parametrize(
    ("rc", "kind"),
    [(0xA0008, errors.ABSENT), (0xA0009, errors.NO_ANSWER), (0xA000A, errors.BROKEN), (0xA000C, errors.PERMISSION),
     (0xA0011, errors.NOT_A_TPM), (0xA0015, errors.UNSUPPORTED), (0xA0001, errors.OTHER)],
)  # fmt: skip
def test_codes_of_the_tcti_are_transport_errors(rc: int, kind: str) -> None:
    error = errors.from_rc("read", "the properties", rc)
    assert isinstance(error, errors.TransportError)
    assert (error.kind, error.rc) == (kind, rc)
    assert error.message == errors.sentence("read", "the properties", rc)


def test_other_codes_are_response_errors() -> None:
    for rc in (0x9A2, 0x7001B, 0xB0143):
        assert isinstance(errors.from_rc("read", "the properties", rc), errors.TpmResponseError)


def test_importing_the_exceptions_does_not_import_the_words() -> None:
    name = errors.__name__
    code = f"import sys, {name}; sys.exit('{rc_table.__name__}' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": ":".join(sys.path)}, check=False).returncode == 0


# The page in the documentation ---------------------------------------------------------


def errors_doc(*arguments: str) -> int:
    command = [sys.executable, str(ROOT / "scripts" / "errors_doc.py"), *arguments]
    return subprocess.run(command, check=False, capture_output=True).returncode


def test_the_page_is_fresh() -> None:
    assert errors_doc("--check") == 0


def test_a_stale_or_missing_page_is_noticed(tmp_path: Path) -> None:
    page = tmp_path / "errors.md"
    assert errors_doc("--check", "--output", str(page)) == 1
    assert not page.exists()
    assert errors_doc("--output", str(page)) == 0
    assert errors_doc("--check", "--output", str(page)) == 0
    page.write_text(page.read_text(encoding="utf-8").replace("TPM_RC_NV_SPACE", "TPM_RC_NV_FULL"), encoding="utf-8")
    assert errors_doc("--check", "--output", str(page)) == 1


def test_the_page_has_every_code_and_its_words() -> None:
    page = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    for _name, meaning, cure in rows()[:-2]:
        assert f"| {meaning} | {cure} |" in page
    for rc, (name, *_words) in rc_table.TPM.items():
        assert f"| `0x{rc:03x}` | TPM_RC_{name} |" in page


@pytest.mark.parametrize(
    ("rc", "name"),
    [(0x60036, "TSS2_FAPI_RC_NULL_CALLBACK"), (0xD0036, "TSS2_POLICY_RC_NULL_CALLBACK"), (0x70036, "TSS2_ESYS_RC_CALLBACK_NULL")],
)
def test_a_missing_callback_has_its_layers_name(rc: int, name: str) -> None:
    assert errors.decode(rc).name == name

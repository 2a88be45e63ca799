# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bad input, what is there already: strangers, other content, a full TPM, PCR banks that are missing, files that are torn, foreign or another TPM's."""

from __future__ import annotations

import base64
import pathlib
import struct
import subprocess
import typing as t

import pytest
from support.profile import SRK
from support.raw import TRANSIENT, RawError
from support.refused import Bench, assert_sentence, files_view, without_override
from support.secrets import made_up
from support.swtpm import Swtpm
from support.tools import leftovers

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import errors, keyfile

NV, KEY, PRIMARY, SEAL, UNSEAL, PERSISTENT, PROFILE = (
    "tpm2_nv_index",
    "tpm2_key",
    "tpm2_primary_key",
    "tpm2_sealed_blob",
    "tpm2_unseal",
    "tpm2_persistent_handle",
    "tpm2_profile",
)
SERIAL: dict[str, t.Any] = {"index": "0x01800010", "content": "EF-2026-000001"}
PCR7 = {"indices": [7]}
CONTENT = made_up("what is sealed")
OTHER_NAME = "000b" + "5a" * 32
REPLACE = "set on_mismatch: replace to replace it (it cannot be restored)"
_OWNER = struct.pack(">I", 0x40000001)
_EMPTY_PASSWORD = struct.pack(">IIHBH", 9, 0x40000009, 0, 0, 0)


@pytest.fixture
def bench(swtpm: Swtpm, device_dir: pathlib.Path, system_python: str) -> Bench:
    """A TPM with an SRK."""
    made = Bench(swtpm, device_dir, system_python)
    made.made(PRIMARY)
    return made


@pytest.fixture
def both(swtpm: Swtpm, device_dir: pathlib.Path, device_python: str) -> Bench:
    """The same with both Pythons, for what the TPM refuses comes through tpm2-pytss."""
    made = Bench(swtpm, device_dir, device_python)
    made.made(PRIMARY)
    return made


# Strangers


def persist(bench: Bench, handle: int, *arguments: str) -> str:
    """An object of somebody else's at a handle, made with tpm2-tools; returns its Name."""
    context = bench.folder.parent / "stranger.ctx"
    bench.tools.run("createprimary", "-Q", "-c", context, *arguments)
    bench.tools.run("evictcontrol", "-Q", "-c", context, f"{handle:#x}")
    bench.tools.flush_all()
    return bench.tools.readpublic(handle).name


SIGNING = ("-G", "ecc", "-a", "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|sign")


def test_a_stranger_at_the_srk(swtpm: Swtpm, device_dir: pathlib.Path, system_python: str) -> None:
    bench = Bench(swtpm, device_dir, system_python)
    persist(bench, SRK, *SIGNING)
    bench.refused(PRIMARY, "0x81000001", "it lacks", "it has sign", REPLACE, "name another handle")
    bench.refused(KEY, "0x81000001", "not a storage parent", path=bench.path("key.pem"))
    bench.refused(SEAL, "0x81000001", "not a storage parent", path=bench.path("blob.pem"), content=CONTENT, pcrs=PCR7)
    bench.refused(PROFILE, "0x81000001", REPLACE, resources=[{"nv_index": SERIAL}, {"primary_key": {}}])


def test_a_stranger_at_a_handle(bench: Bench) -> None:
    name = persist(bench, 0x81000210, *SIGNING)
    bench.refused(KEY, "0x81000210", REPLACE, handle="0x81000210", usage="decrypt", algorithm="rsa_2048")
    bench.refused(KEY, "0x81000210", "it is not a child of 0x81000001", REPLACE, handle="0x81000210", no_da=False)
    bench.refused(PRIMARY, "0x81000210", "it is ecc_p256, not rsa_2048", REPLACE, handle="0x81000210", template="srk_rsa_2048")
    bench.refused(PRIMARY, "0x81000210", "use tpm2_persistent_handle with its name", handle="0x81000210", state="absent")
    bench.refused(PERSISTENT, "0x81000210", name, OTHER_NAME, REPLACE, handle="0x81000210", name=OTHER_NAME)
    bench.refused(PERSISTENT, "remove", "0x81000210", name, OTHER_NAME, handle="0x81000210", name=OTHER_NAME, state="absent")
    missing = bench.path("none.pem")
    bench.refused(PERSISTENT, "0x81000210", f"{missing} does not exist", name, handle="0x81000210", path=missing)


def test_nothing_at_a_handle_and_nothing_to_put_there(bench: Bench) -> None:
    bench.refused(PERSISTENT, "0x81000210", "no path is given", "tpm2_key", handle="0x81000210", name=OTHER_NAME)
    missing = bench.path("none.pem")
    bench.refused(PERSISTENT, "0x81000210", f"{missing} does not exist", handle="0x81000210", path=missing)


# NV


def test_a_write_once_index_that_holds_something_else(bench: Bench) -> None:
    bench.made(NV, write_once=True, **SERIAL)
    says = ("NV index 0x01800010", "written once and for all", "holds something else (EF-2026-000001)", "name another index")
    bench.refused(NV, *says, index="0x01800010", content="EF-2026-000002", write_once=True)
    again = {"nv_index": {"index": "0x01800010", "content": "EF-2026-000002", "write_once": True}}
    bench.refused(PROFILE, *says, resources=[{"key": {"handle": "0x81000210"}}, again])


def test_a_write_once_index_that_was_written_short(bench: Bench) -> None:
    """What the seeds do: 20 bytes defined, five of them written. Nobody can write the rest."""
    bench.made(NV, index="0x01800010", size=20, write_once=True)
    session, policy = bench.folder.parent / "session.ctx", "TPM2_CC_NV_Write"
    bench.tools.run("startauthsession", "-Q", "-S", session, "--policy-session")
    bench.tools.run("policycommandcode", "-Q", "-S", session, policy)
    bench.tools.run("policynvwritten", "-Q", "-S", session, "c")
    bench.tools.run("nvwrite", "-Q", "-C", "0x01800010", "0x01800010", "-P", f"session:{session}", "-i", "-", stdin=b"hello")
    bench.tools.flush_all()
    bench.refused(NV, "its size is 20 bytes, not 5", REPLACE, index="0x01800010", content="hello", write_once=True)
    bench.refused(NV, "written once and for all", index="0x01800010", content="EF-2026-000001-FULLS", write_once=True)


def test_content_that_does_not_fit(bench: Bench) -> None:
    bench.made(NV, **SERIAL)
    bench.refused(NV, "0x01800010", "its size is 14 bytes, not 20", REPLACE, index="0x01800010", content="x" * 20)
    bench.refused(NV, "0x01800010", "its size is 14 bytes, not 4", REPLACE, index="0x01800010", content="four")


def test_an_index_of_another_kind(bench: Bench) -> None:
    bench.tools.run("nvdefine", "-Q", "0x01800011", "-a", "ownerread|authread|ownerwrite|nt=counter")
    bench.refused(NV, "0x01800011", "it is of type counter, not ordinary", REPLACE, index="0x01800011", size=8)
    bench.tools.run("nvdefine", "-Q", "0x01800012", "-s", "8", "-a", "ownerread|authread|ownerwrite")
    bench.refused(NV, "0x01800012", "it is of type ordinary, not counter", REPLACE, index="0x01800012", nv_type="counter")
    bench.refused(NV, "0x01800012", "it lacks no_da", REPLACE, index="0x01800012", size=8)


# A full TPM


def fill_nv(bench: Bench) -> None:
    """Indices of somebody else's, until not even one byte more fits."""
    index = 0x01800100
    with bench.swtpm.raw() as tpm:
        for size in (2048, 512, 64, 1):
            try:
                while True:
                    public = struct.pack(">IHIHH", index, 0x000B, 0x02060006, 0, size)
                    tpm.call(0x12A, _OWNER + _EMPTY_PASSWORD + bytes(2) + struct.pack(">H", len(public)) + public, tag=0x8002)
                    index += 1
            except RawError as full:
                assert full.rc == 0x14B


def test_nv_full(both: Bench) -> None:
    fill_nv(both)
    taken = ("0x01800100-0x01800", "(the owner)", "0x81000001 (the shared storage root key (SRK))")
    says = ("TPM_RC_NV_SPACE (0x14b)", "it is taken by", *taken)
    both.refused(NV, "define NV index 0x01800010", *says, predicted=False, **SERIAL)


def test_nv_full_in_the_middle_of_a_profile(both: Bench) -> None:
    """The first index takes the last room. What was done is said; once there is room again, the next run does the rest."""
    fill_nv(both)
    both.tools.run("nvundefine", "-Q", "0x01800100")
    large = {"nv_index": {"index": "0x01800020", "content": "x" * 2048}}
    resources = [large, {"nv_index": SERIAL}, {"sealed_blob": {"path": both.path("blob.pem"), "content": CONTENT, "pcrs": PCR7}}]
    says = ("define NV index 0x01800010", "TPM_RC_NV_SPACE", "0x01800020", "step 3 of 5")
    both.stops(PROFILE, *says, done=2, resources=resources)
    assert both.tools.nvread(0x01800020) == b"x" * 2048 and files_view(both.folder) == {}
    both.tools.run("nvundefine", "-Q", "0x01800101")
    rest = both.made(PROFILE, resources=resources)
    assert [step["action"] for step in rest["steps"]] == ["nv_define_space", "nv_write", "create"]
    assert both.tools.nvread(0x01800010) == b"EF-2026-000001" and both.tools.load_unseal(both.path("blob.pem")).decode() == CONTENT


def fill_slots(bench: Bench, leave: int) -> None:
    """One object of somebody else's at so many handles that `leave` slots are free."""
    bench.tools.run("createprimary", "-Q", "-c", bench.folder.parent / "stranger.ctx")
    with bench.swtpm.raw() as tpm:
        loaded = tpm.handles(TRANSIENT)[0]
        for handle in range(0x81000300, 0x81000300 + tpm.tpm_property(0x209) - leave):
            tpm.call(0x120, _OWNER + struct.pack(">I", loaded) + _EMPTY_PASSWORD + struct.pack(">I", handle), tag=0x8002)
        tpm.flush(loaded)


def test_persistent_slots_full(bench: Bench) -> None:
    fill_slots(bench, 0)
    says = ("the plan needs 1 persistent slots and the TPM has 0 left", "tpm2_info lists them", "nothing was changed")
    bench.refused(KEY, *says, handle="0x81000210")
    bench.refused(PRIMARY, *says, template="ek_ecc_p256")
    bench.made(KEY, path=bench.path("key.pem"))
    bench.refused(PERSISTENT, *says, handle="0x81000210", path=bench.path("key.pem"))


def test_slots_for_the_whole_plan_or_nothing(bench: Bench) -> None:
    fill_slots(bench, 1)
    resources = [{"nv_index": SERIAL}, {"key": {"handle": "0x81000210"}}, {"key": {"handle": "0x81000211"}}]
    bench.refused(PROFILE, "the plan needs 2 persistent slots and the TPM has 1 left", "nothing was changed", resources=resources)
    bench.made(PROFILE, resources=resources[:2])


# PCRs


def test_a_bank_that_is_not_allocated(bench: Bench) -> None:
    bench.tools.run("pcrallocate", "-Q", "sha1:none+sha256:all+sha384:none+sha512:none")
    bench.swtpm.restart()
    sealed = {"path": bench.path("blob.pem"), "content": CONTENT}
    says = ("PCR 7 of bank sha384", "has not allocated this bank", "any state would satisfy it", "allocate the bank")
    for unmeasured in (False, True):
        bench.refused(SEAL, *says, pcrs={"bank": "sha384", "indices": [7]}, allow_unmeasured=unmeasured, **sealed)
        policy = [{"or": [[{"pcr": PCR7}], [{"pcr": {"bank": "sha384", "indices": [7]}}]]}]
        bench.refused(KEY, *says, policy=policy, allow_unmeasured=unmeasured, handle="0x81000210")
    bench.refused(SEAL, "'sha1'", "collisions", pcrs={"bank": "sha1", "indices": [7]}, **sealed)
    bench.made(SEAL, pcrs=PCR7, **sealed)
    # A blob of the time when the bank was there.
    bench.refused(UNSEAL, *says, path=sealed["path"], pcrs={"bank": "sha384", "indices": [7]})


def test_pcrs_that_have_changed(bench: Bench) -> None:
    path = bench.path("blob.pem")
    bench.made(SEAL, path=path, content=CONTENT, pcrs=PCR7)
    bench.swtpm.extend_pcr(7, "another firmware")
    bench.refused(SEAL, path, "its policy is", "PCRs may have changed since", REPLACE, path=path, content=CONTENT, pcrs=PCR7)
    bench.refused(UNSEAL, path, "its policy is", "the PCRs have changed since it was sealed", path=path, pcrs=PCR7)
    bench.refused(UNSEAL, path, "its policy is", "the PCRs have changed", path=path, pcrs=PCR7, dest=bench.path("content"))
    bench.refused(UNSEAL, path, "its policy is", "the one asked for is now empty", path=path)


# Files


@pytest.fixture
def files(both: Bench) -> dict[str, str]:
    """A sealed blob, a key, an OpenSSL key, and blob and key as other programs write them, without the parent's Name."""
    paths = {name: both.path(f"{name}.pem") for name in ("blob", "key", "openssl", "bare_blob", "bare_key")}
    both.made(SEAL, path=paths["blob"], content=CONTENT, pcrs=PCR7)
    both.made(KEY, path=paths["key"])
    generate = ["openssl", "genpkey", "-quiet", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", paths["openssl"]]
    subprocess.run(generate, check=True)
    for name in ("blob", "key"):
        text = pathlib.Path(paths[name]).read_text()
        pathlib.Path(paths[f"bare_{name}"]).write_text(text[text.index("-----BEGIN") :])
    return paths


def damaged(path: str, target: str) -> str:
    """A copy of a key file with one bit of its private part flipped; the DER around it is whole."""
    _head, _begin, body, _end, _rest = pathlib.Path(path).read_text().split("-----")
    der = bytearray(base64.b64decode(body))
    der[-5] ^= 1
    text = f"-----BEGIN TSS2 PRIVATE KEY-----\n{base64.encodebytes(bytes(der)).decode()}-----END TSS2 PRIVATE KEY-----\n"
    pathlib.Path(target).write_text(text)
    return target


def refuse_foreign_files(bench: Bench, files: dict[str, str], *says: str) -> None:
    """Files of another TPM: those that name their parent are refused unseen, the others when the TPM does not load them."""
    blob, key, bare_blob, bare_key = files["blob"], files["key"], files["bare_blob"], files["bare_key"]
    bench.refused(SEAL, blob, *says, REPLACE, path=blob, content=CONTENT, pcrs=PCR7)
    bench.refused(UNSEAL, blob, *says, "use it where it was made", path=blob, pcrs=PCR7)
    bench.refused(KEY, key, *says, REPLACE, path=key)
    bench.refused(KEY, key, "0x81000210", *says, REPLACE, path=key, handle="0x81000210")
    bench.refused(PERSISTENT, key, *says, "use it where it was made", path=key, handle="0x81000210")
    integrity = ("TPM_RC_INTEGRITY (0x1df, parameter 1)", "made by another TPM", "make it again under the present parent")
    bench.refused(UNSEAL, bare_blob, *integrity, path=bare_blob, pcrs=PCR7)
    verified = {"path": bare_blob, "content": CONTENT, "pcrs": PCR7, "verify": "unseal"}
    bench.refused(SEAL, bare_blob, "this TPM does not load it", REPLACE, **verified)
    loaded = (bare_key, "this TPM does not load it")
    bench.refused(KEY, "0x81000210", *loaded, REPLACE, path=bare_key, handle="0x81000210")
    bench.refused(KEY, *loaded, REPLACE, path=bare_key, verify="load")
    bench.refused(PERSISTENT, *loaded, "use it where it was made", path=bare_key, handle="0x81000210")
    # The cure is one.
    bench.made(SEAL, on_mismatch="replace", **verified)
    assert bench.tools.load_unseal(bare_blob).decode() == CONTENT


def test_files_of_another_tpm(both: Bench, files: dict[str, str], new_swtpm: t.Callable[..., Swtpm]) -> None:
    other = Bench(new_swtpm(own_seeds=True), both.folder, both.python)
    other.made(PRIMARY)
    refuse_foreign_files(other, files, "was made for another TPM (or this one was cleared)", "its parent has the Name")


def test_files_after_a_clear(both: Bench, files: dict[str, str]) -> None:
    both.tools.run("clear")
    gone = "its parent 0x81000001 does not"
    both.refused(SEAL, files["blob"], gone, "make the parent first", path=files["blob"], content=CONTENT, pcrs=PCR7)
    both.refused(UNSEAL, files["blob"], gone, path=files["blob"], pcrs=PCR7)
    both.refused(KEY, files["key"], gone, path=files["key"])
    both.made(PRIMARY)
    refuse_foreign_files(both, files, "was made for another TPM (or this one was cleared)", "its parent has the Name")


def test_files_under_another_parent(bench: Bench) -> None:
    bench.made(PRIMARY, handle="0x81000201", unique="another")
    path = bench.path("blob.pem")
    bench.made(SEAL, path=path, content=CONTENT, pcrs=PCR7)
    says = ("was made under the parent 0x81000001, not 0x81000201", REPLACE)
    bench.refused(SEAL, path, *says, path=path, content=CONTENT, pcrs=PCR7, parent="0x81000201")


def test_a_damaged_private_part(both: Bench, files: dict[str, str]) -> None:
    blob, key = damaged(files["blob"], both.path("damaged_blob.pem")), damaged(files["key"], both.path("damaged_key.pem"))
    both.refused(UNSEAL, blob, "TPM_RC_INTEGRITY", path=blob, pcrs=PCR7)
    verified = {"path": blob, "content": CONTENT, "pcrs": PCR7, "verify": "unseal"}
    both.refused(SEAL, blob, "this TPM does not load it", "or is damaged", REPLACE, **verified)
    both.refused(KEY, key, "this TPM does not load it", "0x81000210", path=key, handle="0x81000210")
    both.refused(KEY, key, "this TPM does not load it", path=key, verify="load")
    assert leftovers(both.swtpm) == []


def test_a_key_where_a_blob_should_be_and_the_reverse(both: Bench, files: dict[str, str]) -> None:
    both.refused(SEAL, files["key"], "it holds a key", path=files["key"], content=CONTENT, pcrs=PCR7)
    both.refused(UNSEAL, files["key"], "it holds a key, not sealed data", path=files["key"], pcrs=PCR7)
    both.refused(KEY, files["blob"], "it holds sealed data", path=files["blob"])


def test_a_key_of_openssl(both: Bench, files: dict[str, str]) -> None:
    path = files["openssl"]
    says = (path, "no 'TSS2 PRIVATE KEY' PEM block but a 'PRIVATE KEY'", "name another file")
    both.refused(SEAL, *says, path=path, content=CONTENT, pcrs=PCR7)
    both.refused(SEAL, *says, path=path, content=CONTENT, pcrs=PCR7, on_mismatch="replace")
    both.refused(UNSEAL, *says, path=path, pcrs=PCR7)
    both.refused(KEY, *says, path=path)
    both.refused(KEY, *says, path=path, on_mismatch="replace")
    both.refused(PERSISTENT, *says, path=path, handle="0x81000210")
    kept = (path, "it is not a key file of a TPM", "name another path")
    both.refused(SEAL, *kept, path=path, state="absent")
    both.refused(KEY, *kept, path=path, state="absent")


@pytest.mark.parametrize("part", ["nothing", "head", "begin", "half_a_line", "half", "end", "a_line_less", "twice_half", "zeros", "binary"])
def test_a_torn_blob(bench: Bench, part: str) -> None:
    path = pathlib.Path(bench.path("blob.pem"))
    bench.made(SEAL, path=str(path), content=CONTENT, pcrs=PCR7)
    text = path.read_bytes()
    begin, lines = text.index(b"-----BEGIN"), text.splitlines(keepends=True)
    torn = {
        "nothing": b"",
        "head": text[:begin],
        "begin": text[: begin + 20],
        "half_a_line": text[: begin + 70],
        "half": text[: len(text) // 2],
        "end": text[:-6],
        "a_line_less": b"".join(lines[:6] + lines[7:]),
        "twice_half": text[: len(text) // 2] * 2,
        "zeros": text[: len(text) // 2] + bytes(len(text) - len(text) // 2),
        "binary": bytes(range(256)),
    }
    path.write_bytes(torn[part])
    says = (str(path), "restore the file from a backup")
    bench.refused(SEAL, *says, path=str(path), content=CONTENT, pcrs=PCR7)
    bench.refused(UNSEAL, *says, path=str(path), pcrs=PCR7)
    bench.refused(KEY, *says, path=str(path))
    path.unlink()
    bench.made(SEAL, path=str(path), content=CONTENT, pcrs=PCR7)


def test_a_file_torn_at_every_byte(bench: Bench) -> None:
    """The reader alone, for there are as many ways as bytes: a sentence for each, and none is taken for the whole."""
    bench.made(KEY, path=bench.path("key.pem"))
    whole = pathlib.Path(bench.path("key.pem")).read_bytes()
    assert not keyfile.read(whole, "/key.pem").sealed
    for size in range(len(whole) - 1):
        with pytest.raises(errors.InputError) as refused:
            keyfile.read(whole[:size], "/key.pem")
        assert_sentence(refused.value.message, "/key.pem", "restore the file")
    body = whole.index(b"KEY-----\n") + 9
    for at in range(body, whole.index(b"-----END")):
        with pytest.raises(errors.InputError) as refused:
            keyfile.read(whole[:at] + whole[at + 1 :], "/key.pem") if whole[at : at + 1] != b"\n" else keyfile.read(b"", "/key.pem")
        assert_sentence(refused.value.message, "/key.pem", "restore the file")


def test_without_permission_on_files(bench: Bench, tmp_path: pathlib.Path) -> None:
    path, hidden = bench.path("blob.pem"), pathlib.Path(bench.path("hidden.pem"))
    bench.made(SEAL, path=str(hidden), content=CONTENT, pcrs=PCR7)
    hidden.chmod(0)
    (bench.folder / "closed").mkdir(0o500)
    closed = bench.path("closed/blob.pem")
    bench.python = without_override(tmp_path, bench.python)
    bench.folder.chmod(0o500)
    # What the module says must be compared with what may be looked at: by the tests, who may.
    bench.refused(SEAL, path, "no permission in", "become", path=path, content=CONTENT, pcrs=PCR7)
    bench.refused(KEY, path, "no permission in", path=path)
    bench.refused(KEY, path, "no permission in", handle="0x81000210", public_path=path)
    bench.refused(SEAL, closed, "no permission in", path=closed, content=CONTENT, pcrs=PCR7)
    bench.refused(UNSEAL, str(hidden), "no permission", "become", path=str(hidden), pcrs=PCR7)
    bench.refused(SEAL, str(hidden), "no permission", "become", path=path, src=str(hidden), pcrs=PCR7)
    bench.folder.chmod(0o700)


def test_a_folder_that_cannot_be_written(bench: Bench) -> None:
    """Found before anything is generated: below a file no folder can be made, whoever asks."""
    (bench.folder / "file").write_text("what somebody needs")
    path = bench.path("file/blob.pem")
    bench.refused(SEAL, path, path=path, content=CONTENT, pcrs=PCR7)
    bench.refused(KEY, path, path=path)
    bench.refused(KEY, path, handle="0x81000210", public_path=path)
    bench.refused(PROFILE, path, resources=[{"nv_index": SERIAL}, {"sealed_blob": {"path": path, "content": CONTENT, "pcrs": PCR7}}])

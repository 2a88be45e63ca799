# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A policy in its three forms agrees on a TPM: the digest in software, tpm2-tools' sessions, and the sessions of the modules."""

from __future__ import annotations

import itertools
import pathlib
import typing as t

import pytest
from support import module, secrets
from support.swtpm import Swtpm
from support.tools import ToolError, Tools, leftovers, lockout_counter

from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource import policy_read
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import keyfile, policy

Items = list[t.Any]
OWNER_AUTH, BLOB_AUTH = secrets.made_up("policies owner"), secrets.made_up("policies blob")
CONTENT = "what the policies keep"
OLD = "5a" * 32  # a value that PCR 7 never has
HIERARCHIES = {"owner": "o", "endorsement": "e", "platform": "p"}
UNSEAL = {"command_code": "Unseal"}


class Sessions:
    """Policies by way of tpm2-tools: trial sessions for a digest, policy sessions to open a blob."""

    def __init__(self, tools: Tools, folder: pathlib.Path, owner_auth: str = "") -> None:
        self._tools, self._folder, self._owner_auth = tools, folder, owner_auth
        self._numbers = itertools.count()
        self._known: dict[str, bytes] = {}

    def _new(self, suffix: str) -> pathlib.Path:
        return self._folder / f"{next(self._numbers)}.{suffix}"

    def digest(self, items: Items) -> bytes:
        """The policy digest as the TPM computes it in a trial session; of one policy once."""
        if repr(items) not in self._known:
            session = self._new("session")
            self._tools.run("startauthsession", "-Q", "-S", session)
            self._known[repr(items)] = self._walk(session, items, None)
            self._tools.run("flushcontext", session)
        return self._known[repr(items)]

    def open(self, blob: pathlib.Path, items: Items, branches: t.Sequence[int], auth: str) -> bytes:
        """What the blob holds; of each `or` the next of `branches` is taken."""
        session, context = self._new("session"), self._new("context")
        self._tools.run("load", "-Q", "-r", blob, "-c", context)
        self._tools.flush_transient()
        self._tools.run("startauthsession", "-Q", "--policy-session", "-S", session)
        try:
            self._walk(session, items, iter(branches))
            return self._tools.run("unseal", "-c", context, "-p", f"session:{session}" + (f"+{auth}" if auth else ""))
        finally:
            self._tools.flush_all()

    def _walk(self, session: pathlib.Path, items: Items, branches: t.Iterator[int] | None, before: Items | None = None) -> bytes:
        done, digest = list(before or []), b""
        for item in items:
            name, value = (item, None) if isinstance(item, str) else next(iter(item.items()))
            output = self._new("digest")
            if name == "or":
                files = [self._new("branch") for _branch in value]
                for file, branch in zip(files, value, strict=True):
                    file.write_bytes(self.digest([*done, *branch]))
                if branches is not None:
                    self._walk(session, value[next(branches)], branches, done)
                self._tools.run("policyor", "-Q", "-S", session, "-L", output, "sha256:" + ",".join(map(str, files)))
            else:
                self._tools.run(*self._assertion(name, value, session, output))
            done.append(item)
            digest = output.read_bytes()
        return digest

    def _assertion(self, name: str, value: t.Any, session: pathlib.Path, output: pathlib.Path) -> list[str | pathlib.Path]:
        common: list[str | pathlib.Path] = ["-Q", "-S", session, "-L", output]
        if name == "pcr":
            bank, values = value.get("bank", "sha256"), value.get("values")
            chosen: list[str | pathlib.Path] = ["-l", f"{bank}:{','.join(map(str, sorted(value['indices'])))}"]
            if values:
                file = self._new("pcrs")
                file.write_bytes(b"".join(bytes.fromhex(values[index]) for index in sorted(values)))
                chosen += ["-f", file]
            return ["policypcr", *common, *chosen]
        if name == "secret":
            ref = ["-q", value["ref"]] if value.get("ref") else []
            auth = [self._owner_auth] if value["hierarchy"] == "owner" and self._owner_auth else []
            return ["policysecret", *common, "-c", HIERARCHIES[value["hierarchy"]], *ref, *auth]
        words = {"auth_value": "policyauthvalue", "password": "policypassword"}
        if name in words:
            return [words[name], *common]
        if name == "command_code":
            return ["policycommandcode", *common, f"TPM2_CC_{value}"]
        return ["policynvwritten", *common, "s" if value else "c"]


def nested(value: str) -> Items:
    """Three `or` within each other, with something before, between and after."""
    inner: Items = [{"or": [[{"pcr": {"indices": [7], "values": {7: OLD}}}], [{"pcr": {"indices": [7], "values": {7: value}}}]]}]
    middle: Items = [{"secret": {"hierarchy": "endorsement"}}, {"or": [["auth_value"], inner, [UNSEAL]]}, "password"]
    return [UNSEAL, {"or": [[{"secret": {"hierarchy": "platform"}}, "auth_value"], middle]}, {"pcr": {"indices": [7]}}]


DIGESTS: dict[str, Items] = {
    "pcr": [{"pcr": {"indices": [7]}}],
    "pcrs": [{"pcr": {"indices": [16, 0, 7, 23]}}],
    "pcr_sha384": [{"pcr": {"bank": "sha384", "indices": [7, 1]}}],
    "pcr_values": [{"pcr": {"indices": [7, 8], "values": {7: OLD, 8: "01" * 32}}}],
    "two_pcrs": [{"pcr": {"indices": [0]}}, {"pcr": {"bank": "sha512", "indices": [7]}}],
    "auth_value": ["auth_value"],
    "password": ["password"],
    "nv_written": [{"nv_written": True}],
    "nv_not_written": [{"nv_written": False}],
    "write_once": [{"command_code": "NV_Write"}, {"nv_written": False}],
    "owner": [{"secret": {"hierarchy": "owner"}}],
    "endorsement": [{"secret": {"hierarchy": "endorsement"}}],
    "platform": [{"secret": {"hierarchy": "platform"}}],
    "secret_ref": [{"secret": {"hierarchy": "owner", "ref": "65646765"}}],
    "or": [{"or": [["auth_value"], [{"nv_written": False}]]}],
    "or_of_eight": [{"or": [["auth_value"]] * 7 + [[{"command_code": "Sign"}, {"nv_written": True}]]}],
    "or_after_something": ["auth_value", {"or": [[UNSEAL], [{"secret": {"hierarchy": "owner"}}]]}, {"nv_written": True}],
    "or_twice": [{"or": [["auth_value"], [UNSEAL]]}, {"or": [["password"], [{"nv_written": True}]]}],
    "nested": nested(OLD),
}


def pcr_values(tools: Tools, items: Items) -> dict[str, dict[int, bytes]]:
    """The PCR values that a policy needs, as tpm2-tools reads them."""
    return {
        one.bank: {index: bytes.fromhex(tools.pcrread(index, one.bank)) for index in one.indices}
        for one in policy.selections(policy_read.read(items))
    }


@pytest.mark.parametrize("name", DIGESTS)
def test_the_digest_in_software_is_the_digest_of_a_session(name: str, tools: Tools, tmp_path: pathlib.Path) -> None:
    now: dict[str, dict[int, bytes]] = {"sha256": {}, "sha384": {}, "sha512": {}}
    for one in policy.selections(policy_read.read(DIGESTS[name])):
        now[one.bank].update({index: bytes.fromhex(tools.pcrread(index, one.bank)) for index in one.indices})
    assert policy.digest(policy_read.read(DIGESTS[name]), now).hex() == Sessions(tools, tmp_path).digest(DIGESTS[name]).hex()


@pytest.mark.parametrize("name", sorted(policy.COMMAND_CODES))
def test_commands_are_named_as_the_tools_name_them(name: str, tools: Tools, tmp_path: pathlib.Path) -> None:
    items: Items = [{"command_code": name}]
    assert policy.digest(policy_read.read(items), {}) == Sessions(tools, tmp_path).digest(items)


class Case(t.NamedTuple):
    """A policy to seal under: whether the blob has an auth, and which branches tpm2-tools takes to open it."""

    items: Items
    auth: bool = False
    branches: tuple[int, ...] = ()


def cases(value: str) -> dict[str, Case]:
    """Policies that PCR 7 with this value satisfies."""
    old, now = {"pcr": {"indices": [7], "values": {7: OLD}}}, {"pcr": {"indices": [7], "values": {7: value}}}
    return {
        "pcr": Case([{"pcr": {"indices": [7]}}]),
        "pcr_values": Case([now]),
        "command_code": Case([UNSEAL, {"pcr": {"indices": [7]}}]),
        "auth_value": Case(["auth_value"], auth=True),
        "password": Case(["password"], auth=True),
        "pcr_and_auth": Case([{"pcr": {"indices": [7]}}, "auth_value"], auth=True),
        "owner": Case([{"secret": {"hierarchy": "owner"}}]),
        "endorsement_ref": Case([{"secret": {"hierarchy": "endorsement", "ref": "65646765"}}]),
        "platform": Case([{"secret": {"hierarchy": "platform"}}]),
        "or": Case([{"or": [[old], [now]]}], branches=(1,)),
        "or_with_auth": Case([{"or": [[old], ["auth_value"]]}], auth=True, branches=(1,)),
        "nested": Case(nested(value), auth=True, branches=(1, 1, 1)),
    }


class Sealed(t.NamedTuple):
    """A TPM with the SRK and one blob for each case."""

    swtpm: Swtpm
    tools: Tools
    python: str
    folder: pathlib.Path
    cases: dict[str, Case]

    def path(self, name: str) -> pathlib.Path:
        return self.folder / f"{name}.pem"

    def options(self, name: str) -> dict[str, t.Any]:
        """How the modules are told to open or keep a case's blob."""
        case = self.cases[name]
        auth = {"auth": BLOB_AUTH} if case.auth else {}
        return {"path": str(self.path(name)), "policy": case.items, **auth}

    def unseal(self, name: str, **more: t.Any) -> module.Result:
        return module.run("tpm2_unseal", {"tcti": self.swtpm.tcti, **self.options(name), **more}, python=self.python)


@pytest.fixture
def sealed(swtpm: Swtpm, tools: Tools, device_python: str, device_dir: pathlib.Path) -> Sealed:
    made = Sealed(swtpm, tools, device_python, device_dir, cases(tools.pcrread(7)))
    blobs = [{"sealed_blob": {**made.options(name), "content": CONTENT}} for name in made.cases]
    resources = [{"primary_key": {"template": "srk_ecc_p256"}}, *blobs]
    module.run("tpm2_profile", {"tcti": swtpm.tcti, "resources": resources}, python=device_python).expect_ok()
    again = module.run("tpm2_profile", {"tcti": swtpm.tcti, "resources": resources}, python=device_python)
    again.expect_ok()
    assert not again.changed
    return made


def test_blobs_open_by_the_modules_and_by_tpm2_tools(sealed: Sealed, tmp_path: pathlib.Path) -> None:
    sessions = Sessions(sealed.tools, tmp_path)
    for name, case in sealed.cases.items():
        held = keyfile.read(sealed.path(name).read_bytes(), name).public.auth_policy
        assert held == policy.digest(policy_read.read(case.items), pcr_values(sealed.tools, case.items)) == sessions.digest(case.items), (
            name
        )
        auth = BLOB_AUTH if case.auth else ""
        assert sessions.open(sealed.path(name), case.items, case.branches, auth) == CONTENT.encode(), name
        opened = sealed.unseal(name, dest=str(sealed.folder / f"{name}.txt"))
        opened.expect_ok()
        assert (sealed.folder / f"{name}.txt").read_text() == CONTENT, name
    assert leftovers(sealed.swtpm) == []
    assert lockout_counter(sealed.swtpm) == 0


def test_blobs_stay_shut_where_the_policy_does_not_hold(sealed: Sealed, tmp_path: pathlib.Path) -> None:
    sealed.swtpm.extend_pcr(7, "other firmware")
    # What does not look at PCR 7 alone still opens, by its other branch.
    opens = {"auth_value", "password", "owner", "endorsement_ref", "platform", "or_with_auth"}
    found = {name: sealed.unseal(name) for name in sealed.cases}
    assert {name for name, result in found.items() if result.ok} == opens
    for name in set(sealed.cases) - opens:
        assert "PCR" in found[name].expect_failed(), name
        case = sealed.cases[name]
        with pytest.raises(ToolError, match="0x(99D|1C4)"):
            Sessions(sealed.tools, tmp_path).open(sealed.path(name), case.items, case.branches, BLOB_AUTH if case.auth else "")
    assert leftovers(sealed.swtpm) == []
    assert lockout_counter(sealed.swtpm) == 0


@pytest.mark.parametrize("name", ["auth_value", "or_with_auth"])
def test_a_wrong_auth_opens_nothing_and_is_not_counted(sealed: Sealed, name: str) -> None:
    if name == "or_with_auth":
        sealed.swtpm.extend_pcr(7, "other firmware")
    assert "TPM_RC_BAD_AUTH" in sealed.unseal(name, auth=secrets.made_up("wrong")).expect_failed()
    sealed.unseal(name).expect_ok()
    assert lockout_counter(sealed.swtpm) == 0
    assert leftovers(sealed.swtpm) == []


def test_a_secret_takes_the_auth_of_its_hierarchy(sealed: Sealed, tmp_path: pathlib.Path) -> None:
    sealed.tools.run("changeauth", "-Q", "-c", "o", OWNER_AUTH)
    assert "owner_auth" in sealed.unseal("owner").expect_failed()
    assert "owner_auth" in sealed.unseal("owner", owner_auth=secrets.made_up("wrong")).expect_failed()
    assert sealed.unseal("owner", owner_auth=OWNER_AUTH).expect_ok()["content_b64"]
    items = sealed.cases["owner"].items
    assert Sessions(sealed.tools, tmp_path, OWNER_AUTH).open(sealed.path("owner"), items, (), "") == CONTENT.encode()
    assert leftovers(sealed.swtpm) == []
    assert lockout_counter(sealed.swtpm) == 0


def test_an_index_is_written_and_read_by_its_policy(swtpm: Swtpm, tools: Tools, device_python: str, tmp_path: pathlib.Path) -> None:
    once: Items = [{"command_code": "NV_Write"}, {"nv_written": False}]
    read: Items = [{"command_code": "NV_Read"}, {"pcr": {"indices": [7]}}]
    options = {
        "tcti": swtpm.tcti,
        "index": "0x01800033",
        "content": CONTENT,
        "attributes": ["policywrite", "policyread"],
        "policy": [{"or": [once, read]}],
    }
    assert module.run("tpm2_nv_index", options, python=device_python).expect_ok()["changed"]
    again = module.run("tpm2_nv_index", options, python=device_python)
    again.expect_ok()
    assert not again.changed
    held = bytes.fromhex(str(tools.nvreadpublic(0x01800033)["authorization policy"]))
    assert held == Sessions(tools, tmp_path).digest(options["policy"])
    assert "policy" in module.run("tpm2_nv_index", {**options, "content": CONTENT[::-1]}, python=device_python).expect_failed()
    assert leftovers(swtpm) == []
    assert lockout_counter(swtpm) == 0

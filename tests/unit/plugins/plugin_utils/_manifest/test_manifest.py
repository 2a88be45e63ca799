# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The factory manifest: what is understood, and each thing that is refused with its line and its own phrase."""

from __future__ import annotations

import hashlib
import json
import os
import pathlib
import subprocess
import sys
import typing as t

import pytest
import yaml
from support import places

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.errors import InputError, TpmError
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._authority import profile
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._manifest import formats, manifest

HASH = hashlib.sha256(b"an EK").hexdigest()
OTHER = hashlib.sha256(b"another EK").hexdigest()
IMPOSSIBLE = "which no certificate can hold (letters, digits, spaces and '()+,-./:=? are allowed)"
KNOWN = "known are serial, host, mac, ek_sha256, site, model"

Load = t.Callable[..., list[manifest.Row]]


@pytest.fixture
def load(tmp_path: pathlib.Path) -> Load:
    """Loads a manifest of this text or these bytes."""

    def load_it(content: str | bytes, name: str = "fleet.csv") -> list[manifest.Row]:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return manifest.load(path)

    return load_it


@pytest.fixture(params=["libyaml", "python"])
def each_yaml(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """PyYAML with and without libyaml: the two report errors in ways of their own."""
    assert formats._LOADER is yaml.CSafeLoader
    if request.param == "python":
        monkeypatch.setattr(formats, "_LOADER", yaml.SafeLoader)


def problems(load: Load, content: str | bytes, name: str = "fleet.csv") -> list[str]:
    with pytest.raises(manifest.ManifestError) as caught:
        load(content, name)
    message = str(caught.value)
    assert isinstance(caught.value, TpmError)
    assert message.startswith("Could not read the manifest ") and f"{name}: " in message and message.endswith(".")
    assert all(problem in message for problem in caught.value.problems)
    assert "\n" not in message
    return caught.value.problems


FULL = [
    manifest.Row("SN-1", "edge-01.example.net", "02:00:00:aa:bb:01", HASH, "Plant A", "rev2", 2),
    manifest.Row("00123", None, "02:00:00:aa:bb:02", None, None, None, 3),
]


@pytest.mark.parametrize("bom", ["", "\ufeff"], ids=["plain", "bom"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=["lf", "crlf", "cr"])
@pytest.mark.parametrize("delimiter", [",", ";"])
def test_csv(load: Load, delimiter: str, end: str, bom: str) -> None:
    lines = [
        "serial,host,mac,ek_sha256,site,model",
        f"SN-1,edge-01.example.net,02-00-00-AA-BB-01,{HASH.upper()},Plant A,rev2",
        "00123,,0200.00aa.bb02,,,",
    ]
    assert load(bom + end.join(lines).replace(",", delimiter) + end) == FULL


def test_csv_lines_are_those_of_the_file(load: Load) -> None:
    found = load("\n# the line of May\nserial,host\n\nA,a\n  # not yet: B,b\n,\nC,c\n")
    assert [(row.serial, row.line) for row in found] == [("A", 5), ("C", 8)]


def test_csv_quotes_case_and_spaces(load: Load) -> None:
    found = load('Serial, HOST ,site,model\n" SN (1)", edge-1 , "Plant, A;B"," #1 ""x"""\n')
    assert found == [manifest.Row("SN (1)", "edge-1", None, None, "Plant, A;B", '#1 "x"', 2)]


def test_csv_as_another_program_writes_it(tmp_path: pathlib.Path) -> None:
    # jq quotes each text, as RFC 4180 lets it.
    path = tmp_path / "fleet.csv"
    table = [["serial", "host", "site", "model"], ["SN 1", "edge-1", 'a "b", c', None], ["007", "edge-2", "d", "e"]]
    made = subprocess.run(["jq", "-r", ".[] | @csv"], input=json.dumps(table).encode(), capture_output=True, check=True)
    path.write_bytes(made.stdout)
    assert [(row.serial, row.host, row.site, row.model) for row in manifest.load(path)] == [
        ("SN 1", "edge-1", 'a "b", c', None),
        ("007", "edge-2", "d", "e"),
    ]


YAML = f"""\
- {{serial: SN-1, host: edge-01.example.net, mac: 02-00-00-AA-BB-01, ek_sha256: {HASH}, site: Plant A, model: rev2}}
- serial: "00123"
  mac: 0200.00aa.bb02
  host: ~
"""


@pytest.mark.usefixtures("each_yaml")
@pytest.mark.parametrize("head", ["", "---\n", "devices:\n", "\ufeffdevices:\n"], ids=["list", "document", "devices", "bom"])
@pytest.mark.parametrize("name", ["fleet.yml", "fleet.YAML"])
def test_yaml(load: Load, head: str, name: str) -> None:
    lines = 1 + head.count("\n")
    assert load(head + YAML, name) == [FULL[0]._replace(line=lines), FULL[1]._replace(line=lines + 1)]


@pytest.mark.usefixtures("each_yaml")
@pytest.mark.parametrize(
    "text", ["00123", "1e5", "0x10", "12:34:56", "2026-01-31", "1_000", ".5", "+7", "=", "<<", "'true'", "!!str yes", "! 1"]
)
def test_yaml_values_are_what_is_written(load: Load, text: str) -> None:
    (row,) = load(f"- serial: A\n  host: a\n  model: {text}\n", "fleet.yml")
    assert row.model == text.strip("'!").removeprefix("str").strip()


@pytest.mark.usefixtures("each_yaml")
def test_yaml_mac_that_yaml_reads_as_a_number_of_base_60(load: Load) -> None:
    assert yaml.safe_load("mac: 52:54:00:12:34:56") != {"mac": "52:54:00:12:34:56"}
    assert load("- {serial: A, mac: 52:54:00:12:34:56}\n", "fleet.yml")[0].mac == "52:54:00:12:34:56"


def test_json_is_yaml(load: Load) -> None:
    assert load('{"devices": [{"serial": "A", "host": "a"}]}', "fleet.yml") == [manifest.Row("A", "a", None, None, None, None, 1)]


@pytest.mark.parametrize("host", ["a", "edge_1", "_a", "1", "a.b-c.example.net", "192.0.2.7", "2001:db8::7", "SN." + "a" * 63])
def test_host_names(load: Load, host: str) -> None:
    assert load(f"serial,host\nA,{host}\n")[0].name == host


def test_name_is_the_host_else_the_serial(load: Load) -> None:
    assert [row.name for row in load("serial,host,mac\nA,b,\nC,,020000000001\n")] == ["b", "C"]


def test_a_serial_number_is_what_a_certificate_can_hold(load: Load) -> None:
    for code in range(33, 127):
        serial = f"SN{chr(code)}1"
        subject = profile.DeviceSubject(serial, b"hw")
        row = json.dumps([{"serial": serial, "host": "a"}])
        try:
            profile.check(subject)
        except InputError:
            assert problems(load, row, "fleet.yml") == [f"line 1: serial {serial!r} has the character {chr(code)!r}, {IMPOSSIBLE}"]
        else:
            assert load(row, "fleet.yml")[0].serial == serial


def test_a_manifest_is_read_without_cryptography() -> None:
    script = (
        "import sys; sys.modules['cryptography'] = None\n"
        f"import {manifest.__name__} as manifest\n"
        "assert manifest.serial_fault('A') == '' and not any(name.startswith('cryptography.') for name in sys.modules)"
    )
    environment = {**os.environ, "PYTHONPATH": str(places.COLLECTIONS)}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr


def test_rows_cannot_be_changed(load: Load) -> None:
    with pytest.raises(AttributeError):
        setattr(load("serial,host\nA,a\n")[0], "serial", "B")  # noqa: B010


ROWS = [
    ("A,a,,,\nA,b,,,", ["line 3: serial 'A' is already in line 2"]),
    ("A,a,,,\nB,a,,,", ["line 3: host 'a' is already in line 2"]),
    ("A,a.example,,,\nB,A.Example,,,", ["line 3: host 'A.Example' is already in line 2"]),
    ("A,b,,,\nb,,020000000001,,", ["line 3: host 'b' is already in line 2"]),
    ("b,,020000000001,,\nA,b,,,", ["line 3: host 'b' is already in line 2"]),
    ("A,,020000000001,,\nB,,02-00-00-00-00-01,,", ["line 3: mac '02:00:00:00:00:01' is already in line 2"]),
    (f"A,a,,{HASH},\nB,b,,{OTHER},\nC,c,,{HASH.upper()},", [f"line 4: ek_sha256 '{HASH}' is already in line 2"]),
    (f"A,a,,{HASH[:-1]},", [f"line 2: ek_sha256 '{HASH[:-1]}' is no SHA-256 (64 hex digits)"]),
    (f"A,a,,{HASH}0,", [f"line 2: ek_sha256 '{HASH}0' is no SHA-256 (64 hex digits)"]),
    (f"A,a,,{HASH[:-1]}g,", [f"line 2: ek_sha256 '{HASH[:-1]}g' is no SHA-256 (64 hex digits)"]),
    ("A,,02:00:00:00:01,,", ["line 2: mac '02:00:00:00:01' is no MAC address (aa:bb:cc:dd:ee:ff)"]),
    ("A,,02:00-00:00-00:01,,", ["line 2: mac '02:00-00:00-00:01' is no MAC address (aa:bb:cc:dd:ee:ff)"]),
    ("A,,02:00:00:00:00:0g,,", ["line 2: mac '02:00:00:00:00:0g' is no MAC address (aa:bb:cc:dd:ee:ff)"]),
    ("A,,ff:ff:ff:ff:ff:ff,,", ["line 2: mac ff:ff:ff:ff:ff:ff is the address of no single device"]),
    ("A,,00:00:00:00:00:00,,", ["line 2: mac 00:00:00:00:00:00 is the address of no single device"]),
    (",a,,,", ["line 2: it has no serial"]),
    ("A,,,,x", ["line 2: it has neither a host nor a mac"]),
    ("Å1,a,,,", [f"line 2: serial 'Å1' has the character 'Å', {IMPOSSIBLE}"]),
    ("A\x1b[2J,a,,,", [f"line 2: serial 'A\\x1b[2J' has the character '\\x1b', {IMPOSSIBLE}"]),
    ("A\0,a,,,", [f"line 2: serial 'A\\x00' has the character '\\x00', {IMPOSSIBLE}"]),
    ("SN_01,a,,,", [f"line 2: serial 'SN_01' has the character '_', {IMPOSSIBLE}"]),
    (f"{'A' * 65},a,,,", [f"line 2: serial '{'A' * 65}' has 65 characters, more than 64"]),
    ("A,a b,,,", ["line 2: host 'a b' is no host name"]),
    ("A,-a,,,", ["line 2: host '-a' is no host name"]),
    ("A,a[1:3],,,", ["line 2: host 'a[1:3]' is no host name"]),
    ("A,a:22,,,", ["line 2: host 'a:22' is no host name"]),
    ("A,a*,,,", ["line 2: host 'a*' is no host name"]),
    ("A,é,,,", ["line 2: host 'é' is no host name"]),
    ("A,fe80::1%eth0,,,", ["line 2: host 'fe80::1%eth0' is no host name"]),
    ("A,{{ x }},,,", ["line 2: host '{{ x }}' is no host name"]),
    (f"A,{'a.' * 126}ab,,,", [f"line 2: host '{'a.' * 38}a...' is no host name"]),
    ("A,All,,,", ["line 2: host 'All' is the name of a group"]),
    ("A,tpm2_new,,,", ["line 2: host 'tpm2_new' is the name of a group"]),
    ("A B,,020000000001,,", ["line 2: it has no host, and serial 'A B' cannot serve as one; give it a host"]),
    ("all,,020000000001,,", ["line 2: it has no host, and serial 'all' cannot serve as one; give it a host"]),
    ("A,a,,,\x07", ["line 2: site '\\x07' has a character that cannot be printed"]),
    (f"A,a,,,{'s' * 129}", [f"line 2: site '{'s' * 77}...' has 129 characters, more than 128"]),
    ("A,a,,,,", ["line 2: it has 6 fields, the header has 5"]),
    ('A,"a,,,\nB,b', ["line 2: it is no CSV: a quote is not closed"]),
    ('A,"a"a,,,\nB,b', ["line 2: it is no CSV: ',' expected after '\"'"]),
    ("A,a,,,\n" + "B" * 140000, ["line 3: it is no CSV: field larger than field limit (131072)"]),
]


@pytest.mark.parametrize(("rows", "expected"), ROWS, ids=[expected[0][:60] for _rows, expected in ROWS])
def test_a_bad_row(load: Load, rows: str, expected: list[str]) -> None:
    assert problems(load, f"serial,host,mac,ek_sha256,site\n{rows}\nZ,z\n") == expected


def test_a_bad_model(load: Load) -> None:
    assert problems(load, "serial,host,model\nA,a,\x07\n") == ["line 2: model '\\x07' has a character that cannot be printed"]


def test_everything_that_is_wrong_is_said_at_once_by_line(load: Load) -> None:
    content = "serial,host,mac,ek_sha256\nA,a,,\n,b,1,2\nA,a,,\n\nB,b,020000000001,\nA,d\nC\n"
    assert problems(load, content) == [
        "line 3: it has no serial",
        "line 3: mac '1' is no MAC address (aa:bb:cc:dd:ee:ff)",
        "line 3: ek_sha256 '2' is no SHA-256 (64 hex digits)",
        "line 4: serial 'A' is already in line 2",
        "line 4: host 'a' is already in line 2",
        "line 6: host 'b' is already in line 3",
        "line 7: serial 'A' is already in line 2",
        "line 8: it has neither a host nor a mac",
    ]


HEADERS = [
    ("serial,host,colour\nA,a,red", [f"line 1: unknown column 'colour' ({KNOWN})"]),
    ("serial,host,colour,\nA,a,red,", [f"line 1: unknown columns 'colour', '' ({KNOWN})"]),
    ("serial,host,Host\nA,a,b", ["line 1: the column host is there twice"]),
    ("host,mac\na,", [f"line 1: the header has no column serial ({KNOWN})"]),
    ("serial,site\nA,b", [f"line 1: the header has neither a column host nor a column mac ({KNOWN})"]),
    ("A,a", [f"line 1: unknown columns 'A', 'a' ({KNOWN})", f"line 1: the header has no column serial ({KNOWN})"]),
    (
        "# x\nserial\thost\nA\ta",
        [f"line 2: unknown column 'serial\\thost' ({KNOWN})", f"line 2: the header has no column serial ({KNOWN})"],
    ),
    ('serial,"host\nA,a', ["line 1: it is no CSV: a quote is not closed"]),
]


@pytest.mark.parametrize(("content", "expected"), HEADERS, ids=[expected[0] for _content, expected in HEADERS])
def test_a_bad_header(load: Load, content: str, expected: list[str]) -> None:
    assert problems(load, content + "\n") == expected


@pytest.mark.parametrize("content", ["", "\n\n", "# nothing yet\n", "serial,host\n", "serial,host\n,\n\t, \n"])
def test_an_empty_csv(load: Load, content: str) -> None:
    assert problems(load, content) == ["it names no device"]


@pytest.mark.usefixtures("each_yaml")
@pytest.mark.parametrize("content", ["", "# nothing yet\n", "---\n", "[]", "{}", "devices:\n", "devices: []\n", "~"])
def test_an_empty_yaml(load: Load, content: str) -> None:
    assert problems(load, content, "fleet.yml") == ["it names no device"]


NO_TEXT = "and no text; put it into quotes if it is meant as one"
BAD_YAML = [
    ("- serial: [1]\n  host: a", [f"line 1: serial is a list {NO_TEXT}"]),
    ("- serial: {a: {b: c}}\n  host: a", [f"line 1: serial is a mapping {NO_TEXT}"]),
    ("- serial: true\n  host: a", [f"line 1: serial is !!bool {NO_TEXT}"]),
    ("- serial: 0012345\n  host: a", [f"line 1: serial is a number {NO_TEXT}"]),
    ("- serial: 1.5\n  host: a", [f"line 1: serial is a number {NO_TEXT}"]),
    ("- serial: 12:34:56\n  host: a", [f"line 1: serial is a number {NO_TEXT}"]),
    ("- serial: 2026-01-31\n  host: a", [f"line 1: serial is a date {NO_TEXT}"]),
    ("- serial: A\n  host: no", [f"line 1: host is !!bool {NO_TEXT}"]),
    ("- serial: !!binary QQ==\n  host: a", [f"line 1: serial is !!binary {NO_TEXT}"]),
    ("- serial: !vault 1\n  host: a", [f"line 1: serial is !vault {NO_TEXT}"]),
    ("- serial: !!python/object/apply:os.getpid []\n  host: a", [f"line 1: serial is a list {NO_TEXT}"]),
    ("- serial: A\n  host: a\n- serial: B\n  serial: C\n  host: b", ["line 3: the column serial is there twice"]),
    ("- serial: A\n  host: a\n  colour: [red]", [f"line 1: unknown column 'colour' ({KNOWN})"]),
    ("- host: a", ["line 1: it has no serial"]),
    ("- serial: A\n  host: ~", ["line 1: it has neither a host nor a mac"]),
    ('- serial: "A\\nB"\n  host: a', [f"line 1: serial 'A\\nB' has the character '\\n', {IMPOSSIBLE}"]),
    ("- serial: |\n    A\n  host: a", ["line 1: serial 'A\\n' begins or ends with a blank or a line break, which nobody sees"]),
    ("- serial: ' A'\n  host: a", ["line 1: serial ' A' begins or ends with a blank or a line break, which nobody sees"]),
    ("- {serial: A, host: a}\n\n-\n  serial: A\n  host: b", ["line 4: serial 'A' is already in line 1"]),
    (
        "- A\n- [B, {c: d}]\n- {serial: C, host: c}",
        ["line 1: it is no mapping of columns and values", "line 2: it is no mapping of columns and values"],
    ),
    ("devices: [{serial: A, host: a}]\nsite: x", ["line 2: unknown key 'site' beside devices"]),
    ("serial: A\nhost: a", ["line 1: unknown key 'serial' beside devices", "line 2: unknown key 'host' beside devices"]),
    ("devices: {serial: A}", ["line 1: it is no list of devices; write a list of mappings, or one under the key devices"]),
    ("A", ["line 1: it is no list of devices; write a list of mappings, or one under the key devices"]),
    ("- {serial: A, host: a}\n---\n- {serial: B, host: b}", ["line 2: a second YAML document begins; put all devices into one list"]),
    ("- &x {serial: A, host: a}\n- *x", ["line 2: a YAML alias (*x), which a manifest may not have; write the values out"]),
    (
        "- &x {serial: A}\n- <<: *x",
        ["line 1: it has neither a host nor a mac", "line 2: a YAML alias (*x), which a manifest may not have; write the values out"],
    ),
    ("- <<: {serial: A}\n  serial: A\n  host: a", [f"line 1: unknown column '<<' ({KNOWN})"]),
]


@pytest.mark.usefixtures("each_yaml")
@pytest.mark.parametrize(
    ("content", "expected"), BAD_YAML, ids=[f"{expected[0][:50]}-{at}" for at, (_content, expected) in enumerate(BAD_YAML)]
)
def test_a_bad_yaml(load: Load, content: str, expected: list[str]) -> None:
    assert problems(load, content + "\n", "fleet.yml") == expected


@pytest.mark.usefixtures("each_yaml")
@pytest.mark.parametrize(
    ("content", "line"),
    [("- {serial: A, host: a}\n- {serial: B,\n  host: b]\n", 3), ("- {serial: A, host: a}\n- @\n", 2), ("-\t[\n- @", 1)],
)
def test_what_is_no_yaml_is_named_by_line(load: Load, content: str, line: int) -> None:
    (problem,) = problems(load, content, "fleet.yml")
    assert problem.startswith(f"line {line}: it is no YAML: ")


@pytest.mark.usefixtures("each_yaml")
def test_a_control_character_in_yaml_is_named_by_line(load: Load) -> None:
    (problem,) = problems(load, "- {serial: A, host: a}\n- {serial: B\x07, host: b}\n", "fleet.yml")
    assert problem.startswith("line 2: it is no YAML: ") and "not allowed" in problem


@pytest.mark.usefixtures("each_yaml")
def test_a_bomb_of_aliases_is_refused_before_it_goes_off(load: Load) -> None:
    lines = ["a: &a [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"{name}: &{name} [{', '.join(['*' + before] * 10)}]" for before, name in zip("abcdefgh", "bcdefghi", strict=True)]
    found = problems(load, "\n".join(lines) + "\n", "fleet.yml")
    assert found[-1] == "line 2: a YAML alias (*a), which a manifest may not have; write the values out"


@pytest.mark.usefixtures("each_yaml")
def test_deep_nesting_is_passed_over(load: Load) -> None:
    deep = "[" * 5000 + "]" * 5000
    assert problems(load, f"- serial: A\n  host: {deep}\n", "fleet.yml") == [f"line 1: host is a list {NO_TEXT}"]


@pytest.mark.parametrize("name", ["fleet.csv", "fleet.yml"])
@pytest.mark.parametrize(
    ("content", "byte"), [("serial,host\nA,ä\n".encode("latin-1"), "line 2: byte 0xe4"), ("serial".encode("utf-16"), "line 1: byte 0xff")]
)
def test_not_utf_8(load: Load, content: bytes, byte: str, name: str) -> None:
    assert problems(load, content, name) == [f"{byte} is not UTF-8"]


def test_no_such_file(tmp_path: pathlib.Path) -> None:
    with pytest.raises(manifest.ManifestError, match=r"fleet\.csv: there is no such file; give the path"):
        manifest.load(tmp_path / "fleet.csv")


def test_a_folder_is_no_manifest(tmp_path: pathlib.Path) -> None:
    (tmp_path / "fleet.csv").mkdir()
    with pytest.raises(manifest.ManifestError, match="Is a directory; name a file that may be read"):
        manifest.load(tmp_path / "fleet.csv")


def test_a_name_that_says_neither_csv_nor_yaml(load: Load) -> None:
    assert problems(load, "serial,host\nA,a\n", "fleet.xlsx") == ["its name ends neither in .csv nor in .yml or .yaml"]


@pytest.mark.parametrize("name", ["fleet.csv", "fleet.yml"])
def test_a_file_too_large(tmp_path: pathlib.Path, name: str) -> None:
    path = tmp_path / name
    path.touch()
    os.truncate(path, manifest.MAX_BYTES + 1)
    with pytest.raises(manifest.ManifestError, match="it has more than 64 MiB; split it"):
        manifest.load(path)


@pytest.mark.parametrize("name", ["fleet.csv", "fleet.yml"])
def test_ten_thousand_rows(load: Load, name: str) -> None:
    values = [
        (f"SN-{at:05d}", f"edge-{at}", f"02:00:00:00:{at >> 8:02x}:{at & 255:02x}", hashlib.sha256(b"%d" % at).hexdigest())
        for at in range(10000)
    ]
    if name.endswith(".csv"):
        found = load("serial,host,mac,ek_sha256\n" + "".join(",".join(row) + "\n" for row in values), name)
    else:
        found = load("".join("- serial: {}\n  host: {}\n  mac: {}\n  ek_sha256: {}\n".format(*row) for row in values), name)
    assert [row[:4] for row in found] == values
    assert found[-1].line == (10001 if name.endswith(".csv") else 39997)

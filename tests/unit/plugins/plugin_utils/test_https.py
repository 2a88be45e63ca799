# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fetching over TLS: bounds, redirects, and whom the server has to be."""

from __future__ import annotations

import pathlib
import threading
import typing as t

import pytest
from support.faults import assert_one_sentence
from support.https import Server

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.errors import InputError
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils import _https


@pytest.fixture
def server(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> t.Iterator[Server]:
    for name in ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    made = Server(tmp_path / "web")
    made.pages["/page"] = (200, b"0123456789")
    yield made
    made.close()


def get(server: Server, path: str = "/page", **changes: t.Any) -> bytes | None:
    options: dict[str, t.Any] = {"most": 10, "limit": 30, "authorities": server.ca_file, **changes}
    return _https.get(server.url + path, "the page", **options)


def refused(server: Server, why: str, path: str = "/page", **changes: t.Any) -> None:
    with pytest.raises(_https.FetchError) as caught:
        get(server, path, **changes)
    assert why in caught.value.message and caught.value.reason == "not_fetched", caught.value.message
    assert_one_sentence(caught.value.message)


def test_a_page_and_none(server: Server) -> None:
    assert get(server) == b"0123456789"
    assert get(server, "/none") is None


def test_what_is_too_long_is_refused(server: Server) -> None:
    refused(server, "it has more than 9 bytes", most=9)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed(server: Server, status: int) -> None:
    server.pages["/away"] = (status, f"{server.url}/page".encode())
    refused(server, f"the server sends us elsewhere (HTTP {status})", "/away")
    assert server.asked == ["/away"]


@pytest.mark.parametrize("status", [403, 500, 503])
def test_another_status_is_an_error(server: Server, status: int) -> None:
    server.pages["/busy"] = (status, b"")
    refused(server, f"the server answered HTTP {status}", "/busy")


def test_the_server_has_to_be_who_it_is_said_to_be(server: Server, tmp_path: pathlib.Path) -> None:
    refused(server, "its TLS certificate cannot be verified", authorities=None)
    other = Server(tmp_path / "other", name="127.0.0.2")
    try:
        refused(other, "its TLS certificate cannot be verified")
    finally:
        other.close()
    assert server.asked == other.asked == []


@pytest.mark.parametrize(("content", "why"), [(None, "No such file or directory"), (b"no certificate", "no certificate in PEM form")])
def test_cas_that_cannot_be_read(server: Server, tmp_path: pathlib.Path, content: bytes | None, why: str) -> None:
    """The option is named, and not the network."""
    path = tmp_path / "cas.pem"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        get(server, authorities=str(path))
    assert f"ca_file {path}: " in caught.value.message and why in caught.value.message
    assert_one_sentence(caught.value.message)
    assert server.asked == []


def test_a_server_that_never_finishes_is_left(server: Server) -> None:
    server.hold = threading.Event()
    refused(server, "it did not finish within 0.5 s", limit=0.5)


def test_nobody_answers(server: Server) -> None:
    server.close()
    refused(server, "Could not fetch the page from https://127.0.0.1:")


@pytest.mark.parametrize(
    "url",
    ["http://h/x", "ftp://h/x", "file:///etc/passwd", "https://", "https:/h", "h", "https://u:p@h/x", "https://h/x?y", "https://h/x#y"]
    + ["https://h:port/x", "https://h/a b", "https://h/a\nb", "https://[::1/x", ""],
)
def test_what_is_no_address(url: str) -> None:
    with pytest.raises(InputError) as caught:
        _https.check_url(url, "url")
    assert_one_sentence(caught.value.message)
    assert "p@h" not in caught.value.message


def test_what_is_an_address() -> None:
    for url in ("https://mirror.example.org/ek/", "https://h:8443/x"):
        assert _https.check_url(url, "url") == url

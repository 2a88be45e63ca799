# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Fetch a file over HTTPS, with limits: the only place where the controller accesses the network.

It fetches only addresses that the user or this collection has named, never one from a certificate or a device's answer.
"""

from __future__ import annotations

import http.client
import ssl
import threading
import typing as t
import urllib.error
import urllib.parse
import urllib.request

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.errors import InputError, TpmError
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils import _text

GONE = (404, 410)
_REACH = "see whether the controller can reach it (a proxy comes from the environment variable https_proxy), and run again"


class FetchError(TpmError):
    """A file could not be fetched."""

    reason = "not_fetched"


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows a redirect only where that is allowed, and only to an HTTPS address; otherwise raises HTTPError."""

    def __init__(self, follow: bool) -> None:
        self._follow = follow

    def redirect_request(self, *given: t.Any, **options: t.Any) -> urllib.request.Request | None:
        """The request to follow, if any; the last argument is the new address."""
        if not self._follow or not str(given[-1]).startswith("https://"):
            return None
        return super().redirect_request(*given, **options)


def check_url(url: str, option: str) -> str:
    """The address, if it is an HTTPS address without user and query. Raises InputError."""
    try:
        parts = urllib.parse.urlsplit(url)
        good = parts.scheme == "https" and bool(parts.hostname) and parts.username is None and not (parts.query or parts.fragment)
        _port = parts.port  # raises ValueError if it is not a number
    except ValueError:
        good = False
    if not good or any(one.isspace() or not one.isprintable() for one in url):
        shown = _text.shown(url, 200) if "@" not in url else "with a user in it"
        raise InputError(f"Could not read {option} '{shown}': it is no address as https://server/path without user and query; correct it.")
    return url


def get(url: str, what: str, *, most: int, limit: float, authorities: str | None = None, follow: bool = False) -> bytes | None:
    """The body at an address, at most ``most`` bytes, within ``limit`` seconds; None if the server says that there is none (404, 410).

    ``what``: its name in errors. ``authorities``: a PEM file with the CAs that vouch for the server, in place of the system's.
    ``follow``: follow redirects to HTTPS; only for a body that is checked by its hash. Raises FetchError; InputError if
    ``authorities`` cannot be read.
    """
    context = _context(authorities)
    answers: list[bytes | int | str] = []
    # In a thread that we can abandon: a socket's timeout starts anew with each byte, so a slow server could hold us for ever.
    worker = threading.Thread(target=_ask, args=(url, most, limit, context, follow, answers), daemon=True)
    worker.start()
    worker.join(limit)
    found = answers[0] if answers else f"it did not finish within {limit:g} s"
    if isinstance(found, bytes):
        if len(found) > most:
            raise _failed(what, url, f"it has more than {most} bytes", "see whether the address is right")
        return found
    if isinstance(found, int):
        if found in GONE:
            return None
        if 300 <= found < 400:
            raise _failed(what, url, f"the server sends us elsewhere (HTTP {found})", "give the address where it is, if you trust that one")
        raise _failed(what, url, f"the server answered HTTP {found}", "see whether the address is right, and run again later")
    raise _failed(what, url, found, _REACH)


def _failed(what: str, url: str, why: str, cure: str) -> FetchError:
    return FetchError(f"Could not fetch {what} from {url}: {why}; {cure}.")


def _context(authorities: str | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=authorities)
    except OSError as error:  # also ssl.SSLError
        why = "it has no certificate in PEM form" if isinstance(error, ssl.SSLError) else error.strerror
        raise InputError(f"Could not read the CAs of the server, ca_file {authorities}: {why}; correct it.") from None


def _ask(url: str, most: int, limit: float, context: ssl.SSLContext, follow: bool, answers: list[bytes | int | str]) -> None:
    """Put into ``answers`` the body (one byte more than ``most``, if there are more), the HTTP status, or why there is neither."""
    try:
        opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=context), _Redirects(follow))
        asked = urllib.request.Request(url, headers={"User-Agent": "edgefleet.tpm2", "Accept-Encoding": "identity"})
        with opener.open(asked, timeout=limit) as response:
            answers.append(response.read(most + 1))
    except urllib.error.HTTPError as error:
        answers.append(error.code)
        error.close()
    except urllib.error.URLError as error:
        answers.append(_why(error.reason))
    except (OSError, http.client.HTTPException, ValueError) as error:
        answers.append(_why(error))


def _why(error: object) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its TLS certificate cannot be verified ({_text.shown(error.verify_message, 100)})"
    told = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return _text.shown(told, 200) or type(error).__name__


__all__ = ("FetchError", "check_url", "get")

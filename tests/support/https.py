# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A web server over TLS on the loopback address, with a certificate of the lab's CA and the pages that a test gives it."""

from __future__ import annotations

import http.server
import ipaddress
import pathlib
import ssl
import threading
import typing as t

from cryptography import x509

from support import lab_ca


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers from the server's pages; waits for `hold` after the headers."""

    server: Server

    def do_GET(self) -> None:
        """Answer with the page of that path, (status, body)."""
        self.server.asked.append(self.path)
        status, body = self.server.pages.get(self.path, (404, b"nothing here"))
        self.send_response(status)
        if 300 <= status < 400:
            self.send_header("Location", body.decode())
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.server.hold is not None:
            self.wfile.write(body[:1])
            self.server.hold.wait(60)
        else:
            self.wfile.write(body)

    def log_message(self, *_arguments: t.Any) -> None:
        """Say nothing."""


class Server(http.server.ThreadingHTTPServer):
    """The server: `pages` by path, the paths that were `asked` for, `url` without a slash at its end, and the `ca_file` that verifies it."""

    daemon_threads = True

    def __init__(self, folder: pathlib.Path, name: str = "127.0.0.1") -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.pages: dict[str, tuple[int, bytes]] = {}
        self.asked: list[str] = []
        self.hold: threading.Event | None = None
        root, key = lab_ca.root("Web Root"), lab_ca.new_key()
        address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(name))])
        certificate = root.certify("web", key, ca=False, extra=[(address, False)])
        folder.mkdir(parents=True, exist_ok=True)
        self.ca_file = str(folder / "web-root.pem")
        pathlib.Path(self.ca_file).write_text(lab_ca.pem(root.certificate))
        own = folder / "web.pem"
        own.write_bytes(lab_ca.pem(certificate).encode() + lab_ca.private_pem(key, None))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(own)
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self.url = f"https://127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, *_arguments: t.Any) -> None:
        """Print nothing about clients that close the connection."""

    def close(self) -> None:
        """End it."""
        if self.hold is not None:
            self.hold.set()
        self.shutdown()
        self.server_close()

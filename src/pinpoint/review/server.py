"""The page's server: on this machine alone, for whoever has the address with the token.

    GET  /  /page.css  /page.js  …        the page, which holds no document
    GET  /api/state                       how far the review is, its labels
    GET  /api/item?number=N               a document with its answer
    GET  /api/picture?number=N&page=P     a page of a file, as PNG
    POST /api/choose  /api/skip  /api/undo

Other pages in the same browser can reach this address. They are kept out by the token, which stands behind the # of
the address and goes with every call in a header that no other origin may send, by `Host` (a name that was made to point
here) and by `Origin`.
"""

from __future__ import annotations

import json
import secrets
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import resources
from typing import Any
from urllib.parse import parse_qs, urlsplit

from pinpoint.errors import DocumentError, PinpointError, RequestError
from pinpoint.review.documents import Documents
from pinpoint.review.lines import finite
from pinpoint.review.queue import Review
from pinpoint.review.shown import shown_pages

LOCAL = "127.0.0.1"
TOKEN_HEADER = "X-Pinpoint-Token"
MOST_BODY_BYTES = 100_000
MOST_SIZE_DIGITS = 20  # Python refuses to read thousands of them
STATIC = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
}
HEADERS = {
    # Pictures come as blobs, since an image cannot send the token. Nothing else is loaded, and nothing from elsewhere.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class ReviewServer(ThreadingHTTPServer):
    """Serves one review.

    Attributes:
        token: without which no document is told.
    """

    daemon_threads = True

    def __init__(self, review: Review, documents: Documents, port: int = 0, token: str = "") -> None:
        """Listen on this machine; port 0 is one that is free. Raises OSError where the port is taken."""
        self.review, self.documents = review, documents
        self.token = token or secrets.token_urlsafe(24)
        super().__init__((LOCAL, port), _Handler)

    @property
    def address(self) -> str:
        """Where the page is, with its token."""
        return f"http://{LOCAL}:{self.server_port}/#{self.token}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a browser that hangs up is no error, and a traceback may hold a document."""


class _Handler(BaseHTTPRequestHandler):
    server: ReviewServer
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "pinpoint", ""
    timeout = 60

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the terminal is for the address."""

    def do_GET(self) -> None:
        self._answered({"/api/state": self._state, "/api/item": self._item, "/api/picture": self._picture})

    def do_POST(self) -> None:
        self._answered({"/api/choose": self._choose, "/api/skip": self._skip, "/api/undo": self._undo})

    def _answered(self, routes: dict[str, Any]) -> None:
        url = urlsplit(self.path)
        own = (f"{LOCAL}:{self.server.server_port}", f"localhost:{self.server.server_port}")
        origin = self.headers.get("Origin")
        if self.headers.get("Host") not in own or (origin and origin not in [f"http://{name}" for name in own]):
            self._send(HTTPStatus.FORBIDDEN, _told("this address is for a browser on this machine"))
            return
        if self.command == "GET" and url.path in STATIC:
            name, kind = STATIC[url.path]
            self._send(HTTPStatus.OK, (resources.files("pinpoint.review") / "page" / name).read_bytes(), kind)
            return
        if url.path not in routes:
            self._send(HTTPStatus.NOT_FOUND, _told("there is no such address here"))
            return
        if not secrets.compare_digest(self.headers.get(TOKEN_HEADER, "").encode(), self.server.token.encode()):
            self._send(HTTPStatus.FORBIDDEN, _told("open the address that the command printed; its token is missing"))
            return
        try:
            routes[url.path](dict(parse_qs(url.query)))
        except DocumentError as error:
            self._send(HTTPStatus.UNPROCESSABLE_ENTITY, _told(error.message))
        except PinpointError as error:
            self._send(HTTPStatus.BAD_REQUEST, _told(error.message))
        except (ValueError, OverflowError):
            self._send(
                HTTPStatus.UNPROCESSABLE_ENTITY,
                _told("the answer of this document holds a number that cannot be shown; correct it in the file"),
            )
        except OSError as error:
            self._send(HTTPStatus.INSUFFICIENT_STORAGE, _told(f"the choice was not written: {error.strerror}"))

    def _state(self, query: dict[str, list[str]]) -> None:
        review = self.server.review
        self._json(
            {
                **review.state(),
                "labels": list(review.labels),
                "task": review.answers.task,
                "several": review.answers.several,
                "failed": review.answers.failed,
                "file": str(review.chosen.path),
            }
        )

    def _item(self, query: dict[str, list[str]]) -> None:
        number = _number(query, "number")
        item = self.server.review.item(number)
        told: dict[str, Any] = {"number": number, "id": item.key, "labels": item.labels, "scores": item.scores}
        answer = item.answer
        for name in ("label", "decision", "reasons", "explanation"):
            if (value := answer.get(name)) is not None:
                told[name] = value
        for name in ("margin", "label_mass", "confidence"):
            if (figure := finite(answer.get(name))) is not None:
                told[name] = figure
        if item.truth is not None:
            told["truth"] = item.truth
        if self.server.review.answers.several:
            told["members"] = item.members
        evidence = answer.get("evidence")
        try:
            read = self.server.documents.read(item)
        except DocumentError as error:
            self._json({**told, "problem": error.message})
            return
        found = evidence if isinstance(evidence, list) else []
        shown = shown_pages(read.pages, read.first, [one for one in found if isinstance(one, dict)])
        self._json({**told, **shown, "pictured": read.pictured})

    def _picture(self, query: dict[str, list[str]]) -> None:
        item = self.server.review.item(_number(query, "number"))
        self._send(HTTPStatus.OK, self.server.documents.picture(item, _number(query, "page")), "image/png")

    def _choose(self, query: dict[str, list[str]]) -> None:
        body = self._body()
        number, label = body.get("number"), body.get("label")
        members = label if isinstance(label, list) else [label]
        named = [one for one in members if isinstance(one, str)]
        if type(number) is not int or len(named) < len(members):
            raise RequestError(
                "wrong_type", "`number` is a whole number and `label` a string, or a list of them", "label"
            )
        self._json(self.server.review.choose(number, named if isinstance(label, list) else named[0]))

    def _skip(self, query: dict[str, list[str]]) -> None:
        number = self._body().get("number")
        if type(number) is not int:
            raise RequestError("wrong_type", "`number` is a whole number", "number")
        self._json(self.server.review.skip(number))

    def _undo(self, query: dict[str, list[str]]) -> None:
        self._body()
        self._json(self.server.review.undo())

    def _body(self) -> dict[str, Any]:
        size = self.headers.get("Content-Length", "")
        if not size.isdecimal() or len(size) > MOST_SIZE_DIGITS or int(size) > MOST_BODY_BYTES:
            self.close_connection = True
            raise RequestError("too_large", f"a body has its length, and at most {MOST_BODY_BYTES} bytes", "body")
        if self.headers.get_content_type() != "application/json":
            self.rfile.read(int(size))
            raise RequestError("not_json", "send application/json", "body")
        try:
            body = json.loads(self.rfile.read(int(size)))
        except (ValueError, RecursionError):
            body = None
        if not isinstance(body, dict):
            raise RequestError("invalid_json", "the body is no JSON object", "body")
        return body

    def _json(self, value: dict[str, Any]) -> None:
        # ASCII: a lone surrogate crosses as its escape.
        self._send(HTTPStatus.OK, json.dumps(value, allow_nan=False).encode("ascii"))

    def _send(self, status: HTTPStatus, body: bytes, kind: str = "application/json") -> None:
        if status != HTTPStatus.OK and self.command == "POST":
            self.close_connection = True  # what it sent may not have been read
        self.send_response(status)
        for name, value in HEADERS.items():
            self.send_header(name, value)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)


def _number(query: dict[str, list[str]], name: str) -> int:
    value = query.get(name, [""])[0]
    if not value.isdecimal() or len(value) > 9:
        raise RequestError("wrong_type", "must be a whole number", name)
    return int(value)


def _told(message: str) -> bytes:
    return json.dumps({"error": message}).encode("ascii")

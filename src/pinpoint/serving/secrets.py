"""What no line of the log may hold, whoever wrote it: queries and passwords of addresses, and keys of the environment.

The query of a platform's address is a credential, and libraries quote addresses in their warnings: urllib3 each time
a ping is slow, aiohttp in every error. A word that is an address therefore ends before its query, and the values of
the environment's keys are replaced wherever they stand.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from urllib.parse import parse_qsl, quote, unquote, urlsplit

SHORTEST_KEY = 8  # characters; a shorter value may be a word that a line needs
SHORTEST_QUERY_VALUE = 16
_KEY_NAME = re.compile(r"(KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIALS?)$", re.IGNORECASE)
_HEADERS_NAME = re.compile(r"OTEL_(\w+_)?HEADERS", re.IGNORECASE)  # name=value,name=value: a collector's keys
_WORD = re.compile(r"\S+")
_USER = re.compile(r"//[^\s/@]+@")
_CLOSERS = "'\")]}>,;\\"  # that end the sentence around an address, not the address


def without_queries(text: str) -> str:
    """A text whose addresses end before their query and name no user; in linear time."""
    if "?" not in text and "//" not in text:
        return text
    return _WORD.sub(_cut, text)


def redactor(environ: Mapping[str, str]) -> Callable[[str], str]:
    """What takes the secrets of this environment, and the queries of addresses, out of a text."""
    secrets = sorted(secrets_of(environ), key=len, reverse=True)
    pattern = re.compile("|".join(map(re.escape, secrets))) if secrets else None

    def clean(text: str) -> str:
        text = without_queries(text)
        return text if pattern is None else pattern.sub("…", text)

    return clean


def secrets_of(environ: Mapping[str, str]) -> set[str]:
    """Values of keys, of a collector's headers, and of queries and users in addresses, also as these quote them."""
    found = set[str]()
    for name, value in environ.items():
        value = value.strip()
        if _KEY_NAME.search(name) and len(value) >= SHORTEST_KEY:
            found.add(value)
        if _HEADERS_NAME.fullmatch(name):
            found |= _of_headers(value)
        if "://" in value:
            found |= _of_address(value)
    return found | {quote(secret, safe="") for secret in found}


def _of_headers(headers: str) -> set[str]:
    """The values as they stand, as they are sent, and without the scheme before them (`Bearer …`)."""
    found = set[str]()
    for header in headers.split(","):
        value = header.partition("=")[2].strip()
        sent = unquote(value).strip()
        found |= {value, sent, sent.rpartition(" ")[2]}
    return {value for value in found if len(value) >= SHORTEST_KEY}


def _of_address(address: str) -> set[str]:
    try:
        parts = urlsplit(address)
        told = {value for _, value in parse_qsl(parts.query) if len(value) >= SHORTEST_QUERY_VALUE}
        password = parts.password
    except ValueError:  # no address after all
        return set()
    return told | ({password} if password and len(password) >= SHORTEST_KEY else set())


def _cut(match: re.Match[str]) -> str:
    word = match.group()
    if "//" in word:
        word = _USER.sub("//…@", word)
    head, _, query = word.partition("?")
    kept = query.rstrip(_CLOSERS)
    if not kept or "/" not in head:
        return word
    return f"{head}?…{query[len(kept) :]}"

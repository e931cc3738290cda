"""More clients than a server takes, some of which leave: `python bench/http_load.py [--clients 200] [--seconds 180]`.

Every client asks again and again about a document of its own, and looks whether the answer is its own. Some break off
in the middle of a request. At the end the server is told to end while all of them go on. Asked for: what was accepted
is answered once, everything else is refused with 429 or 503.
"""

from __future__ import annotations

import asyncio
import json
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import typer

from bench.report import write
from tests.http.running import start

LEAVING = 0.1  # share of the requests whose client breaks off
LONGEST_S = 120.0
AFTER_REFUSAL_S = 0.2  # a client that minds Retry-After would wait a second


class Client:
    """One client and what came of its requests."""

    def __init__(self, number: int, port: int, told: Counter[str]) -> None:
        self._number = number
        self._port = port
        self._told = told
        self._chance = random.Random(number)
        self._asked = 0

    async def run(self, ends: asyncio.Event) -> None:
        """Ask until the end, or until nobody listens any more."""
        while not ends.is_set():
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
            except OSError:
                self._told["nobody listens"] += 1
                if ends.is_set():
                    return
                await asyncio.sleep(AFTER_REFUSAL_S)
                continue
            try:
                while await self._ask(reader, writer) and not ends.is_set():
                    pass
            except (OSError, asyncio.IncompleteReadError):
                self._told["connection broken"] += 1
            finally:
                writer.close()
                with suppress(OSError):
                    await writer.wait_closed()

    async def _ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One request; whether the connection is good for another."""
        self._asked += 1
        name = f"{self._number}-{self._asked}"
        body = json.dumps({
            "model": "pinpoint", "input": f"Letter {name}: the parcel number {self._number} has not arrived.",
            "questions": [{"type": "predicate", "name": name, "instructions": "Is it a complaint?"},
                          {"type": "choice", "instructions": "What is it about?",
                           "choices": [{"value": "a delivery"}, {"value": "a payment"}]}],
        }).encode()  # fmt: skip
        head = (
            f"POST /v1/decisions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {len(body)}"
        )
        leaves = self._chance.random() < LEAVING
        cut = self._chance.randrange(len(body)) if leaves and self._chance.random() < 0.5 else len(body)
        writer.write(head.encode() + b"\r\n\r\n" + body[:cut])
        await writer.drain()
        if leaves:
            await asyncio.sleep(self._chance.random() * 0.3)
            self._told["left"] += 1
            return False
        try:
            status, headers, answer = await asyncio.wait_for(_read(reader), LONGEST_S)
        except asyncio.IncompleteReadError as error:
            self._told["answer cut" if error.partial else "sent and not answered"] += 1
            return False
        except TimeoutError:
            self._told["hung"] += 1
            return False
        if status == 200:
            right = answer["answers"][0]["name"] == name and len(answer["answers"]) == 2
            self._told["200" if right else "another's answer"] += 1
        else:
            self._told[str(status)] += 1
            self._told["refused without Retry-After"] += "retry-after" not in headers
            await asyncio.sleep(AFTER_REFUSAL_S * (1 + self._chance.random()))
        return headers.get("connection") != "close"


async def _read(reader: asyncio.StreamReader) -> tuple[int, dict[str, str], Any]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)
    body = await reader.readexactly(int(headers["content-length"]))
    return int(head[0].split()[1]), headers, json.loads(body)


async def load(port: int, clients: int, seconds: float, stop: Any) -> Counter[str]:
    """Run all clients; `stop` tells the server to end, and returns when it has."""
    told, ends = Counter[str](), asyncio.Event()
    running = [asyncio.create_task(Client(number, port, told).run(ends)) for number in range(clients)]
    await asyncio.sleep(seconds)
    told["before the end"] = told["200"]
    await asyncio.to_thread(stop)
    ends.set()
    await asyncio.wait(running, timeout=LONGEST_S)
    told["clients that hang"] = sum(not one.done() for one in running)
    return told


def main(
    clients: Annotated[int, typer.Option(help="At once.")] = 200,
    seconds: Annotated[float, typer.Option(help="Until the server is told to end.")] = 180.0,
    most: Annotated[int, typer.Option(help="PINPOINT_MAX_HTTP_REQUESTS of the server.")] = 64,
    as_json: Annotated[bool, typer.Option("--json", help="Also write bench/results/http_load.json.")] = False,
) -> None:
    """Load a server and end it; exit code 1 where something was lost."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        with start("-m", "pinpoint", "serve", log=log, PINPOINT_MAX_HTTP_REQUESTS=str(most)) as server:
            server.wait_until_ready()
            ended = list[float]()

            def stop() -> None:
                began = time.monotonic()
                server.process.send_signal(signal.SIGTERM)
                server.process.wait(LONGEST_S)
                ended.append(time.monotonic() - began)

            told = asyncio.run(load(int(server.url.rsplit(":", 1)[1]), clients, seconds, stop))
            code = server.process.returncode
        last = [line for line in log.read_text(encoding="utf-8").splitlines() if " ended " in line or "drain" in line]
    figures = {
        "clients": clients, "seconds": seconds, "max_http_requests": most, "told": dict(sorted(told.items())),
        "exit_code": code, "seconds_to_end": round(ended[0], 2), "last_lines": [line.split(" ", 2)[2] for line in last],
    }  # fmt: skip
    print(json.dumps(figures, indent=2))
    if as_json:
        print(f"written to {write('http_load', figures)}")
    lost = ("another's answer", "answer cut", "hung", "clients that hang", "refused without Retry-After", "500")
    raise typer.Exit(1 if code or any(told[what] for what in lost) or not told["200"] else 0)


if __name__ == "__main__":
    typer.run(main)

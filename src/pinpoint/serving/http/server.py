"""The server's life: it listens, loads, answers, drains at SIGTERM and ends.

    SIGTERM → /ping 503, new requests 503 → those in flight end, within PINPOINT_DRAIN_S → nobody is let in any more
            → who is in still hears 503 → the connections close

Nothing of RunPod's SDK runs here: a load-balancing endpoint sends requests straight to the port.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NoReturn

import uvicorn
from fastapi import FastAPI

from pinpoint.errors import ModelError, PinpointError
from pinpoint.serving.failures import in_thread
from pinpoint.serving.http.app import make_app, make_health_app
from pinpoint.serving.http.gate import Gate
from pinpoint.serving.model import read_ahead
from pinpoint.serving.watch.health import Monitor
from pinpoint.serving.worker import Worker
from pinpoint.settings import Settings

log = logging.getLogger("pinpoint")

LOOPBACK, EVERYWHERE = "127.0.0.1", "0.0.0.0"
KEEP_ALIVE_S = 75  # longer than load balancers and clients keep an idle connection
CLOSING_S = 5  # for connections whose requests are all answered
# For a request that is on its way over a connection that is there: closed at once, its sender would hear nothing.
LAST_WORDS_S = 0.5
BACKLOG = 2048


class _Server(uvicorn.Server):
    """Leaves signals to us: the first one drains."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


@dataclass(slots=True)
class _End:
    """How the process ends."""

    begun: asyncio.Event = field(default_factory=asyncio.Event)
    code: int = 0
    at_once: bool = False

    def ask(self, code: int = 0) -> None:
        """Drain and end; asked again, end at once."""
        self.at_once = self.begun.is_set()
        self.code = max(self.code, code)
        self.begun.set()


def serve(settings: Settings) -> NoReturn:
    """Serve until a signal ends the process.

    Raises:
        ModelError: `invalid_setting`, a port that cannot be had.
    """
    read_ahead(settings)
    host = settings.host or (EVERYWHERE if settings.api_key else LOOPBACK)
    listeners = [_listen(host, settings.port, "PORT")]
    if settings.port_health is not None and settings.port_health != settings.port:
        listeners.append(_listen(host, settings.port_health, "PORT_HEALTH"))
    asyncio.run(_serve(settings, listeners))
    raise AssertionError("the process has ended")


async def _serve(settings: Settings, listeners: list[socket.socket]) -> NoReturn:
    loop, end = asyncio.get_running_loop(), _End()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end.ask)
    worker = Worker(settings)
    gate = Gate(settings.api_key.get_secret_value(), settings.max_http_requests, settings.max_body_bytes)
    apps = [make_app(worker, settings, gate), make_health_app(worker, settings, gate)]
    servers = [_server(app) for app, _ in zip(apps, listeners, strict=False)]
    # A worker that leaks is replaced by whoever started it.
    monitor = Monitor(worker.metrics, worker.health, lambda reason: loop.call_soon_threadsafe(end.ask, 1))
    serving = [
        asyncio.create_task(server.serve(sockets=[listener]))
        for server, listener in zip(servers, listeners, strict=True)
    ]
    loading = asyncio.create_task(_load(worker, end))
    monitor.start()
    for listener in listeners:
        host, port = listener.getsockname()[:2]
        log.info("serving url=http://%s:%d", host, port)
    await end.begun.wait()
    gate.draining = True
    log.info("draining in_flight=%d", gate.in_flight)
    emptied = await _emptied(gate, settings.drain_s, end)
    for listening in (one for server in servers for one in server.servers):
        listening.close()
    await asyncio.sleep(LAST_WORDS_S)
    for server in servers:
        server.should_exit = True
        server.force_exit = not emptied
    await asyncio.wait(serving, timeout=CLOSING_S)
    monitor.stop()
    loading.cancel()
    await in_thread(worker.send_telemetry)
    log.info("ended in_flight=%d", gate.in_flight)
    # Without the interpreter's own end: a pass that still runs, or a load, is waited for by nobody.
    logging.shutdown()
    os._exit(end.code or (0 if emptied else 1))


async def _emptied(gate: Gate, within_s: float, end: _End) -> bool:
    """Whether everything in flight ended in time; a second signal ends the wait."""
    end.begun.clear()
    waits = {asyncio.create_task(gate.emptied(within_s)), asyncio.create_task(end.begun.wait())}
    _, pending = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    return gate.in_flight == 0


async def _load(worker: Worker, end: _End) -> None:
    """Load the engine; a server that cannot ends."""
    try:
        await in_thread(worker.load)
    except PinpointError as error:
        log.critical("%s", error.wire())
        end.ask(1)


def _server(app: FastAPI) -> _Server:
    return _Server(
        uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            server_header=False,
            lifespan="off",
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=CLOSING_S,
        )
    )


def _listen(host: str, port: int, name: str) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise ModelError("invalid_setting", f"cannot listen on {host}:{port}: {error.strerror}", name) from None

"""Results that outlive their deadline, and takes that stall: at random moments, each round with workers of its own.

`PINPOINT_FAULT_ROUNDS=20` for more rounds; a failing one says how to bring it back.
"""

from __future__ import annotations

import random
import time
from pathlib import Path

from tests.worker.conftest import echo_worker
from tests.worker.emulator import Platform
from tests.worker.faults import TRANSIENT, PostFault, TakeFault
from tests.worker.ledger import WAIT_S
from tests.worker.traffic import Traffic, once, repeat

SLOTS = 16
DEADLINE_S = 0.5  # after which a result is kept
DELIVERED = (PostFault.ELSEWHERE_307, PostFault.ELSEWHERE_308)  # followed, and so accepted
FAULTS = [fault for fault in TRANSIENT if fault not in (PostFault.NEVER, *DELIVERED)]


def outage(platform: Platform, chance: random.Random) -> list[str]:
    """Jobs whose results are kept: the platform accepts no post, in one way or another."""
    platform.faults.down = chance.choice(FAULTS)
    ids = [platform.submit({"echo": n, "sleep_s": chance.uniform(0, 0.2)}) for n in range(chance.randint(1, 6))]
    platform.ledger.wait(lambda own: all(own.jobs[name].posts for name in ids), WAIT_S, "results are tried")
    return ids


def test_kept_results_are_posted_though_nothing_else_happens(tmp_path: Path) -> None:
    def one(platform: Platform, folder: Path, chance: random.Random) -> None:
        with echo_worker(
            platform, folder, "w1", guards=True, echo_concurrency=SLOTS, echo_post_deadline_s=DEADLINE_S
        ) as worker:
            ids = outage(platform, chance)
            for name in ids:
                worker.wait_output(f"job={name} status=late")
            time.sleep(chance.uniform(0, 2))
            platform.faults.down = None
            platform.ledger.wait_final(*ids)
            once(platform)

    repeat("kept, timer", one, tmp_path)


def test_kept_results_are_posted_at_the_end_and_before_it_named(tmp_path: Path) -> None:
    def one(platform: Platform, folder: Path, chance: random.Random) -> None:
        with echo_worker(
            platform, folder, "w1", guards=True, echo_concurrency=SLOTS, echo_post_deadline_s=DEADLINE_S,
            echo_late_take_s=chance.choice([0.1, 1.0]),
        ) as worker:  # fmt: skip
            ids = outage(platform, chance)
            for name in ids:
                worker.wait_output(f"job={name} status=late")
            up_first = chance.random() < 0.5
            if up_first:
                platform.faults.down = None
            worker.terminate()
            worker.wait_output("draining: no more jobs")
            time.sleep(chance.uniform(0, 3))
            platform.faults.down = None
            assert worker.wait_exit() == 0, worker.output
            platform.ledger.wait(lambda own: own.audit().clean, 1, "the ledger is clean")
            once(platform)
            assert "status=lost" not in worker.output

    repeat("kept, end", one, tmp_path)


def test_what_is_lost_at_the_end_is_said_and_the_end_comes(tmp_path: Path) -> None:
    def one(platform: Platform, folder: Path, chance: random.Random) -> None:
        with echo_worker(
            platform, folder, "w1", guards=True, echo_concurrency=SLOTS, echo_post_deadline_s=DEADLINE_S
        ) as worker:
            ids = outage(platform, chance)
            time.sleep(chance.uniform(0, 1.5))
            worker.terminate()
            assert worker.wait_exit() == 0, worker.output
            assert set(platform.ledger.audit().lost) == set(ids)
            for name in ids:
                assert f"job={name} status=lost at=post" in worker.output

    repeat("kept, lost", one, tmp_path)


def test_a_take_that_stalls_holds_up_neither_the_next_nor_the_end(tmp_path: Path) -> None:
    def one(platform: Platform, folder: Path, chance: random.Random) -> None:
        stalled = [TakeFault.STALL] * chance.randint(1, 2)
        with (
            Traffic(platform, chance) as traffic,
            echo_worker(platform, folder, "w1", guards=True, echo_concurrency=SLOTS, echo_late_take_s=0.3) as first,
        ):
            time.sleep(chance.uniform(0, 0.5))
            platform.faults.script_takes(stalled)
            platform.ledger.wait(lambda own: platform.faults.hits["take stall"], WAIT_S, "a take stalls")
            if chance.random() < 0.5:  # it is let go by itself
                polls = platform.ledger.polls_begun["w1"]
                platform.ledger.wait(lambda own: own.polls_begun["w1"] > polls, WAIT_S, "the next take")
            time.sleep(chance.uniform(0, 1))
            began_s = time.monotonic()
            first.terminate()
            assert first.wait_exit() == 0, first.output
            assert time.monotonic() - began_s < 15
            with echo_worker(platform, folder, "w2", guards=True, echo_concurrency=SLOTS):
                assert {job.status for job in traffic.stop()} == {"COMPLETED"}
        once(platform)

    repeat("take stalls", one, tmp_path)

"""The cards that RunPod lends, with the bytes that their drivers report, and how a user's words are matched to one.

Two figures per card, both needed: what `nvidia-smi` calls total, which is what people compare, and what CUDA hands out
(`torch.cuda.get_device_properties(0).total_memory`), which is a little less: the driver keeps the difference. A name on
the box says neither: a "48 GB" card with error correction has 44.3 GiB.

Torch-free, and no I/O: the table is knowledge, not a probe.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass

from pinpoint.errors import CapacityError, ModelError

GB = 10**9
MIB = 2**20
GIB = 2**30

# From which compute capability on a card multiplies FP8 (E4M3): Ada, Hopper, Blackwell.
FP8_CAPABILITY = (8, 9)
# What the driver keeps of a card that is not in the table: the largest share in the table (RTX A4000), rounded up.
UNKNOWN_DRIVER_SHARE = 0.03


@dataclass(frozen=True, slots=True)
class Card:
    """One kind of GPU.

    Attributes:
        name: as people say it.
        pool: RunPod's pool id, for `gpuIds`; empty for a card that was given as a number.
        total_bytes: as nvidia-smi reports it.
        cuda_bytes: what CUDA reports, the most that all processes together can allocate.
        capability: CUDA's compute capability; None for a card that was given as a number.
    """

    name: str
    pool: str
    total_bytes: int
    cuda_bytes: int
    capability: tuple[int, int] | None = None

    @property
    def driver_bytes(self) -> int:
        """What the driver keeps for itself."""
        return self.total_bytes - self.cuda_bytes


def computes(card: Card, precision: str) -> bool:
    """Whether the card has products for a precision; one that was given as a number is taken to."""
    return precision != "fp8" or card.capability is None or card.capability >= FP8_CAPABILITY


def check_fp8(precision: str, capability: tuple[int, int] | None, name: str) -> None:
    """Refuse FP8 on a card that does not multiply it; one of unknown capability is let through.

    Raises:
        ModelError: with what to set instead.
    """
    if precision == "fp8" and capability is not None and capability < FP8_CAPABILITY:
        raise ModelError(
            "precision_unsuitable",
            f"{name} has compute capability {capability[0]}.{capability[1]}, and fp8 needs {FP8_CAPABILITY[0]}."
            f"{FP8_CAPABILITY[1]} or later (L4, L40S, RTX 4090, H100 and newer); use int8, which takes the same "
            "memory: set PINPOINT_PRECISION=int8 and give the 16-bit original, or a checkpoint in int8",
            "PINPOINT_PRECISION",
        )


def _card(name: str, pool: str, total_mib: int, cuda_gib: float, capability: tuple[int, int]) -> Card:
    return Card(name, pool, total_mib * MIB, round(cuda_gib * GIB), capability)


# Totals: `nvidia-smi` tables in public logs. CUDA's figure: "GPU 0 has a total capacity of … GiB" in public reports of
# out-of-memory errors, the lowest of those that were found, since it differs by up to 0.2 GiB between drivers. Where
# one was found for a card's twin only (A5000 for 3090, SXM for PCIe, L40S for L40), the twin's is used. Pools:
# docs.runpod.io/flash/configuration/gpu-types. RTX A6000 and RTX 6000 Ada are listed with error correction off, as they
# are delivered; with it on they have 46,068 MiB like the others of 48 GB. Compute capabilities:
# developer.nvidia.com/cuda-gpus.
CARDS: tuple[Card, ...] = (
    _card("RTX A4000", "AMPERE_16", 16376, 15.61, (8, 6)),
    _card("L4", "ADA_24", 23034, 22.03, (8, 9)),
    _card("RTX 4090", "ADA_24", 24564, 23.52, (8, 9)),
    _card("RTX A5000", "AMPERE_24", 24564, 23.56, (8, 6)),
    _card("RTX 3090", "AMPERE_24", 24576, 23.56, (8, 6)),
    _card("RTX 5090", "ADA_32_PRO", 32607, 31.37, (12, 0)),
    _card("A40", "AMPERE_48", 46068, 44.34, (8, 6)),
    _card("L40", "ADA_48_PRO", 46068, 44.34, (8, 9)),
    _card("L40S", "ADA_48_PRO", 46068, 44.34, (8, 9)),
    _card("RTX A6000", "AMPERE_48", 49140, 47.40, (8, 6)),
    _card("RTX 6000 Ada", "ADA_48_PRO", 49140, 47.27, (8, 9)),
    _card("H100 80GB PCIe", "ADA_80_PRO", 81559, 79.11, (9, 0)),
    _card("H100 80GB SXM", "ADA_80_PRO", 81559, 79.11, (9, 0)),
    _card("A100 80GB PCIe", "AMPERE_80", 81920, 79.14, (8, 0)),
    _card("A100 80GB SXM", "AMPERE_80", 81920, 79.14, (8, 0)),
    _card("H100 NVL", "ADA_80_PRO", 95830, 93.00, (9, 0)),
    _card("RTX PRO 6000 96GB", "BLACKWELL_96", 97887, 94.96, (12, 0)),
    _card("H200 141GB", "HOPPER_141", 143771, 139.72, (9, 0)),
    _card("B200 180GB", "BLACKWELL_180", 183359, 178.35, (10, 0)),
)


def find_card(words: str) -> Card:
    """The card that `words` mean: a name or part of one, a pool id, or a size such as "48GB" or "44.5 GiB".

    A pool stands for its smallest card, since the platform may lend any of them. GB is 10⁹ bytes, GiB 2³⁰.

    Raises:
        CapacityError: no card or more than one kind is meant; the message names the nearest.
    """
    # A size needs its unit: a bare number is part of a card's name ("4090").
    size = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(gb|gib)\s*", words, re.IGNORECASE)
    if size:
        total_bytes = round(float(size[1]) * (GIB if size[2].lower() == "gib" else GB))
        return Card(f"a card of {words.strip()}", "", total_bytes, round(total_bytes * (1 - UNKNOWN_DRIVER_SHARE)))
    wanted = _tokens(words)
    in_pool = [card for card in CARDS if card.pool == words.strip().upper()]
    if in_pool:
        return min(in_pool, key=lambda card: card.cuda_bytes)
    exact = [card for card in CARDS if _tokens(card.name) == wanted]
    meant = exact or [card for card in CARDS if wanted and wanted <= _tokens(card.name)]
    if len({(card.total_bytes, card.cuda_bytes) for card in meant}) == 1:
        return meant[0]
    if meant:
        raise CapacityError("unknown_card", f"{words!r} may be {_either([card.name for card in meant])}; say which")
    by_key = {card.name.lower(): card.name for card in CARDS}
    near = [by_key[key] for key in difflib.get_close_matches(words.lower().strip(), by_key, n=3, cutoff=0.5)]
    hint = f"did you mean {_either(near)}?" if near else f"known: {', '.join(card.name for card in CARDS)}."
    raise CapacityError("unknown_card", f'no card is called {words!r}; {hint} Or give its memory, such as "48GB"')


def _tokens(name: str) -> frozenset[str]:
    """The words of a name that tell cards apart; the maker's and the line's names do not."""
    return frozenset(re.findall(r"[a-z0-9]+", name.lower())) - {"nvidia", "geforce", "tesla"}


def _either(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"

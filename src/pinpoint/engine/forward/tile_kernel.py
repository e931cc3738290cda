"""The kernel of `tiles`. Imported on first use: triton comes with torch's CUDA builds alone."""

# mypy: disable-error-code="no-untyped-def, untyped-decorator, no-untyped-call"

import triton
import triton.language as tl

LOG2_E: tl.constexpr = tl.constexpr(1.4426950408889634)


# Numbers that differ from pass to pass must not be compiled in: a job would wait for the compiler.
@triton.jit(do_not_specialize=["kept", "window"])
def attend_tiles(
    q, k, v, out, sinks, tiles, runs, ends, positions, q_head, q_token, k_head, k_token, v_head, v_token, out_token,
    out_head, kept, sharing, size, scale, cap, window, PROGRAMS: tl.constexpr, TOGETHER: tl.constexpr,
    TOKENS: tl.constexpr, BLOCK: tl.constexpr, KEYS: tl.constexpr, WINDOW: tl.constexpr, CAP: tl.constexpr,
    SINKS: tl.constexpr,
):  # fmt: skip
    """Some query heads of one key-value head over the keys of one tile: M = TOKENS × TOGETHER rows of a product."""
    tile, group = tiles + tl.program_id(0) * 5, tl.program_id(1) // PROGRAMS
    first, last, path, path_end, own = (
        tl.load(tile), tl.load(tile + 1), tl.load(tile + 2), tl.load(tile + 3), tl.load(tile + 4)
    )  # fmt: skip
    of = tl.arange(0, TOKENS * TOGETHER)
    token, shared = first + of // TOGETHER, (tl.program_id(1) % PROGRAMS) * TOGETHER + of % TOGETHER
    known = (token < last) & (shared < sharing)
    head = group * sharing + shared
    columns = tl.arange(0, BLOCK)
    inside = columns < size
    at = token.to(tl.int64)[:, None] * q_token + head.to(tl.int64)[:, None] * q_head + columns[None, :]
    rows = tl.load(q + at, mask=known[:, None] & inside[None, :], other=0.0)
    position = tl.load(positions + kept + token, mask=token < last, other=0)
    least = tl.min(tl.where(token < last, position, 2147483647), axis=0) - window + 1  # the window's first, of all rows
    best = tl.full([TOKENS * TOGETHER], -float("inf"), tl.float32)
    total = tl.zeros([TOKENS * TOGETHER], tl.float32)
    sums = tl.zeros([TOKENS * TOGETHER, BLOCK], tl.float32)
    keys, values = k + group.to(tl.int64) * k_head, v + group.to(tl.int64) * v_head
    for run in range(path, path_end):
        begin, end = tl.load(runs + run * 3), tl.load(runs + run * 3 + 1)
        if WINDOW:
            begin += tl.maximum(least - tl.load(runs + run * 3 + 2), 0)
        best, total, sums = _over(
            begin, end, rows, token, position, best, total, sums, keys, values, ends, positions, kept, k_token, v_token,
            columns, inside, scale, cap, window, KEYS, WINDOW, CAP, False,
        )  # fmt: skip
    best, total, sums = _over(
        own, kept + last, rows, token, position, best, total, sums, keys, values, ends, positions, kept, k_token,
        v_token, columns, inside, scale, cap, window, KEYS, WINDOW, CAP, True,
    )  # fmt: skip
    if SINKS:
        sink = tl.load(sinks + head, mask=known, other=0.0).to(tl.float32) * LOG2_E
        highest = tl.maximum(best, sink)
        total = total * tl.exp2(best - highest) + tl.exp2(sink - highest)
        sums = sums * tl.exp2(best - highest)[:, None]
    to = token.to(tl.int64)[:, None] * out_token + head.to(tl.int64)[:, None] * out_head + columns[None, :]
    tl.store(out + to, (sums / total[:, None]).to(out.dtype.element_ty), mask=known[:, None] & inside[None, :])


@triton.jit
def _over(
    begin, end, rows, token, position, best, total, sums, keys, values, ends, positions, kept, k_token, v_token,
    columns, inside, scale, cap, window, KEYS: tl.constexpr, WINDOW: tl.constexpr, CAP: tl.constexpr, OWN: tl.constexpr,
):  # fmt: skip
    """The keys from `begin` to `end` more, `KEYS` at a time; among the group's `OWN` rows a row sees some of them."""
    for start in range(begin, end, KEYS):
        number = start + tl.arange(0, KEYS)
        there = number < end
        key = tl.load(
            keys + number.to(tl.int64)[None, :] * k_token + columns[:, None],
            mask=there[None, :] & inside[:, None], other=0.0,
        )  # fmt: skip
        scores = tl.dot(rows, key) * scale
        if CAP:
            scores = cap * (2 * tl.sigmoid(2 * scores / cap) - 1)  # cap · tanh(scores / cap)
        visible = there[None, :]
        if OWN:
            row = number - kept
            end_row = tl.load(ends + row, mask=there, other=0)
            visible = visible & (row[None, :] <= token[:, None]) & (token[:, None] < end_row[None, :])
        if WINDOW:
            where = tl.load(positions + number, mask=there, other=0)
            visible = visible & (position[:, None] - where[None, :] < window)
        scores = tl.where(visible, scores * LOG2_E, -float("inf"))
        highest = tl.maximum(best, tl.max(scores, axis=1))
        finite = tl.where(highest == -float("inf"), 0.0, highest)
        share = tl.exp2(scores - finite[:, None])
        factor = tl.exp2(best - finite)
        total = total * factor + tl.sum(share, axis=1)
        value = tl.load(
            values + number.to(tl.int64)[:, None] * v_token + columns[None, :],
            mask=there[:, None] & inside[None, :], other=0.0,
        )  # fmt: skip
        sums = sums * factor[:, None] + tl.dot(share.to(value.dtype), value)
        best = highest
    return best, total, sums

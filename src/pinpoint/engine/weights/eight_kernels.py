"""The kernels of `triton_eight`. Imported on first use: triton comes with torch's CUDA builds alone.

Each is compiled on first use for each dtype and each size that it names as a `constexpr`.
"""

# mypy: disable-error-code="no-untyped-def, untyped-decorator, no-untyped-call"

import triton
import triton.language as tl


@triton.jit
def in_eight(state, LARGEST: tl.constexpr, WHOLE: tl.constexpr):
    """A row in float32 → its values in 8 bits and its scale."""
    size = tl.abs(state)
    # The largest of numbers of which one is none would be one of the others.
    largest = tl.max(tl.where(size == size, size, float("inf")), axis=0)
    step = tl.div_rn(LARGEST + tl.zeros_like(largest), largest)
    # Of a row that is not finite nothing is left but its scale; of one that is too small for a step, nothing.
    scaled = tl.where((largest < float("inf")) & (step < float("inf")), state * step, 0.0)
    if WHOLE:
        # Adding a number whose last bit is worth 1 rounds to a whole one, halves to even; the product before it
        # is rounded by itself, hence no fusion of the two.
        found = ((scaled + 12582912.0) - 12582912.0).to(tl.int8)
    else:
        found = tl.minimum(tl.maximum(scaled, -LARGEST), LARGEST).to(tl.float8e4nv)
    return found, tl.div_rn(largest, LARGEST + tl.zeros_like(largest))


@triton.jit
def quantize_kernel(
    x, values, scales, places, inputs, PLACED: tl.constexpr, COPIES: tl.constexpr, LARGEST: tl.constexpr,
    WHOLE: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """A row a program: its scale, and its values at each of its places."""
    row = tl.program_id(0).to(tl.int64)
    columns = tl.arange(0, BLOCK)
    inside = columns < inputs
    state = tl.load(x + row * inputs + columns, mask=inside, other=0.0).to(tl.float32)
    found, scale = in_eight(state, LARGEST, WHOLE)
    for copy in tl.static_range(COPIES):
        place = tl.load(places + row * COPIES + copy).to(tl.int64) if PLACED else row
        tl.store(values + place * inputs + columns, found, mask=inside)
        tl.store(scales + place, scale)


@triton.jit
def squares(x, INPUTS: tl.constexpr, WARPS: tl.constexpr, LOG_WARPS: tl.constexpr):
    """The sum of the squares of a row of 16 bits, in the order of torch's kernel for norms. Its threads take four
    numbers at a time, each its share one after the other; then halves of a warp are summed, and of the warps.
    """
    four = tl.arange(0, 32 * WARPS)[:, None] * 4 + tl.arange(0, 4)[None, :]
    total = tl.zeros((32 * WARPS,), dtype=tl.float32)
    for start in tl.static_range(0, INPUTS, 128 * WARPS):
        part = tl.load(x + start + four, mask=start + four < INPUTS, other=0.0).to(tl.float32)
        even, odd = tl.split(tl.reshape(part, (32 * WARPS, 2, 2)))
        first, third = tl.split(even)
        second, fourth = tl.split(odd)
        # Squares of 16 bits are exact, so it is the same whether the two are fused.
        total += first * first
        total += second * second
        total += third * third
        total += fourth * fourth
    for halved in tl.static_range(5):
        total = tl.sum(tl.reshape(total, (WARPS, 2, 16 >> halved)), axis=1)
    for halved in tl.static_range(LOG_WARPS):
        total = tl.sum(tl.reshape(total, (2, WARPS >> (halved + 1))), axis=0)
    return tl.sum(tl.reshape(total, (1,)), axis=0)


@triton.jit
def norm_kernel(
    x, weight, normed, values, scales, epsilon, INPUTS: tl.constexpr, WARPS: tl.constexpr, LOG_WARPS: tl.constexpr,
    LARGEST: tl.constexpr, WHOLE: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """A row a program: its root-mean-square norm in 16 bits, and that in 8 bits."""
    row = tl.program_id(0).to(tl.int64)
    x += row * INPUTS
    mean = tl.div_rn(squares(x, INPUTS, WARPS, LOG_WARPS), INPUTS + 0.0)
    factor = tl.rsqrt(mean + epsilon)
    columns = tl.arange(0, BLOCK)
    inside = columns < INPUTS
    state = tl.load(x + columns, mask=inside, other=0.0).to(tl.float32)
    gain = tl.load(weight + columns, mask=inside, other=0.0).to(tl.float32)
    rounded = (gain * (factor * state)).to(normed.dtype.element_ty)
    tl.store(normed + row * INPUTS + columns, rounded, mask=inside)
    found, scale = in_eight(rounded.to(tl.float32), LARGEST, WHOLE)
    tl.store(values + row * INPUTS + columns, found, mask=inside)
    tl.store(scales + row, scale)


# Counts that differ from pass to pass are not compiled in.


@triton.jit(do_not_specialize=["pairs"])
def route_kernel(chosen, starts, places, pairs, experts, BLOCK: tl.constexpr):
    """An expert a program: where its pairs begin, and the place of each."""
    expert = tl.program_id(0)
    before, after = 0, 0  # pairs of the experts before this one, and with this one's
    for start in range(0, pairs, BLOCK):
        at = start + tl.arange(0, BLOCK)
        choice = tl.load(chosen + at, mask=at < pairs, other=experts).to(tl.int32)
        before += tl.sum((choice < expert).to(tl.int32), axis=0)
        after += tl.sum((choice <= expert).to(tl.int32), axis=0)
    tl.store(starts + expert, before)
    if expert == experts - 1:
        tl.store(starts + experts, after)
    for start in range(0, pairs, BLOCK):
        at = start + tl.arange(0, BLOCK)
        choice = tl.load(chosen + at, mask=at < pairs, other=experts).to(tl.int32)
        mine = choice == expert
        tl.store(places + at, before + tl.cumsum(mine.to(tl.int32), axis=0) - 1, mask=mine)
        before += tl.sum(mine.to(tl.int32), axis=0)


@triton.jit
def find(
    program, starts, pairs, strips, EXPERTS: tl.constexpr, GROUPED: tl.constexpr, BLOCK_EXPERTS: tl.constexpr,
    ROWS: tl.constexpr, GROUP: tl.constexpr,
):  # fmt: skip
    """Expert, first row, end of the expert's rows and strip of the program's tile. Of a program that has none the
    expert or the strip is beyond the last.

    `GROUP` tiles of rows share a strip of channels, then the next strip, then the next tiles of rows.
    """
    numbers = tl.arange(0, BLOCK_EXPERTS)
    known = numbers < EXPERTS
    if GROUPED:
        begins = tl.load(starts + numbers, mask=known, other=0)
        ends = tl.load(starts + numbers + 1, mask=known, other=0)
    else:
        begins = tl.zeros_like(numbers)
        ends = tl.where(known, pairs, 0)
    tiles = (ends - begins + ROWS - 1) // ROWS
    upto = tl.cumsum(tiles, axis=0)
    count = tl.sum(tiles, axis=0)
    tile = program // (GROUP * strips) * GROUP
    strip = program % (GROUP * strips)
    together = tl.maximum(tl.minimum(count - tile, GROUP), 1)
    tile += strip % together
    strip = strip // together
    expert = tl.where(tile < count, tl.sum(((upto <= tile) & known).to(tl.int32), axis=0), EXPERTS)
    mine = numbers == expert
    first = tl.sum(tl.where(mine, begins + (tile - upto + tiles) * ROWS, 0), axis=0)
    last = tl.sum(tl.where(mine, ends, 0), axis=0)
    return expert, first, last, strip


@triton.jit
def finish(
    sums, x_scale, scale, out, outputs, expert, first, last, strip, GATED: tl.constexpr, ROWS: tl.constexpr,
    OUTPUTS: tl.constexpr,
):  # fmt: skip
    """Scale a tile's sums, gate them, and write what comes of it."""
    wide: tl.constexpr = OUTPUTS // 2 if GATED else OUTPUTS
    pair = first + tl.arange(0, ROWS)
    lines = tl.arange(0, OUTPUTS)
    if GATED:
        line = tl.minimum(strip * wide + lines // 2, outputs - 1) + lines % 2 * outputs
        factors = tl.load(scale + tl.cast(expert, tl.int64) * outputs * 2 + line)
    else:
        line = tl.minimum(strip * wide + lines, outputs - 1)
        factors = tl.load(scale + tl.cast(expert, tl.int64) * outputs + line)
    of_rows = tl.load(x_scale + pair, mask=pair < last, other=0.0)
    total = (sums.to(tl.float32) * of_rows[:, None] * factors[None, :]).to(out.dtype.element_ty)
    if GATED:
        gate, up = tl.split(tl.reshape(total, (ROWS, wide, 2)))
        gate = gate.to(tl.float32)
        total = (gate * tl.sigmoid(gate) * up.to(tl.float32)).to(out.dtype.element_ty)
    channels = strip * wide + tl.arange(0, wide)
    tl.store(
        out + pair[:, None].to(tl.int64) * outputs + channels[None, :],
        total,
        mask=(pair < last)[:, None] & (channels < outputs)[None, :],
    )


@triton.jit(do_not_specialize=["pairs", "strips"])
def product_kernel(
    x, x_scale, weight, scale, starts, out, pairs, outputs, inputs, strips,
    ROWS: tl.constexpr, OUTPUTS: tl.constexpr, INPUTS: tl.constexpr, GROUP: tl.constexpr, GATED: tl.constexpr,
    WHOLE: tl.constexpr, GROUPED: tl.constexpr, EXPERTS: tl.constexpr, BLOCK_EXPERTS: tl.constexpr,
    EVEN: tl.constexpr, COPIED: tl.constexpr,
):  # fmt: skip
    """A tile of rows and channels a program. With COPIED `weight` is a descriptor, else a pointer."""
    expert, first, last, strip = find(
        tl.program_id(0), starts, pairs, strips, EXPERTS, GROUPED, BLOCK_EXPERTS, ROWS, GROUP
    )
    if (expert < EXPERTS) & (strip < strips):
        # Rows behind the last are computed as the last, channels likewise, and not stored.
        row = tl.minimum(first + tl.arange(0, ROWS), last - 1)
        columns = tl.arange(0, INPUTS)
        states = x + row[:, None].to(tl.int64) * inputs + columns[None, :]
        wide: tl.constexpr = OUTPUTS // 2 if GATED else OUTPUTS
        if not COPIED:
            lines = tl.arange(0, OUTPUTS)
            if GATED:
                # A gate and what it gates lie side by side, so that one thread holds both of their sums.
                line = tl.minimum(strip * wide + lines // 2, outputs - 1) + lines % 2 * outputs
                matrix = weight + tl.cast(expert, tl.int64) * outputs * 2 * inputs
            else:
                line = tl.minimum(strip * wide + lines, outputs - 1)
                matrix = weight + tl.cast(expert, tl.int64) * outputs * inputs
            matrix += line[None, :].to(tl.int64) * inputs + columns[:, None]
        sums = tl.zeros((ROWS, OUTPUTS), dtype=tl.int32 if WHOLE else tl.float32)
        for start in range(0, inputs, INPUTS):
            inside = start + columns < inputs
            state = tl.load(states + start) if EVEN else tl.load(states + start, mask=inside[None, :], other=0.0)
            if COPIED:
                if GATED:
                    part = weight.load([expert, strip * wide, 0, start]).reshape(OUTPUTS, INPUTS).T
                else:
                    part = weight.load([expert, strip * wide, start]).reshape(OUTPUTS, INPUTS).T
            else:
                part = tl.load(matrix + start) if EVEN else tl.load(matrix + start, mask=inside[:, None], other=0.0)
            sums = tl.dot(state, part, sums, out_dtype=tl.int32) if WHOLE else tl.dot(state, part, sums)
        finish(sums, x_scale, scale, out, outputs, expert, first, last, strip, GATED, ROWS, OUTPUTS)

"""The kernel of `rotary`. Imported on first use: triton comes with torch's CUDA builds alone."""

# mypy: disable-error-code="no-untyped-def, untyped-decorator, no-untyped-call"

import triton
import triton.language as tl


@triton.jit
def rotate(
    q, k, cos, sin, out_q, out_k, heads, kv_heads, q_head, q_token, out_q_head, out_q_token, k_head, k_token,
    out_k_head, out_k_token, half, BLOCK: tl.constexpr, HEADS: tl.constexpr,
):  # fmt: skip
    """Some heads of one token a program, those of the queries before those of the keys."""
    token, program = tl.program_id(0).to(tl.int64), tl.program_id(1)
    of_queries = (heads + HEADS - 1) // HEADS
    columns = tl.arange(0, BLOCK)
    inside = columns < half
    angles = token * 2 * half + columns
    c1 = tl.load(cos + angles, mask=inside, other=0.0).to(tl.float32)[None, :]
    c2 = tl.load(cos + angles + half, mask=inside, other=0.0).to(tl.float32)[None, :]
    s1 = tl.load(sin + angles, mask=inside, other=0.0).to(tl.float32)[None, :]
    s2 = tl.load(sin + angles + half, mask=inside, other=0.0).to(tl.float32)[None, :]
    head = tl.arange(0, HEADS)[:, None]
    if program < of_queries:
        head += program * HEADS
        known = (head < heads) & inside[None, :]
        at = q + head.to(tl.int64) * q_head + token * q_token + columns[None, :]
        to = out_q + head.to(tl.int64) * out_q_head + token * out_q_token + columns[None, :]
    else:
        head += (program - of_queries) * HEADS
        known = (head < kv_heads) & inside[None, :]
        at = k + head.to(tl.int64) * k_head + token * k_token + columns[None, :]
        to = out_k + head.to(tl.int64) * out_k_head + token * out_k_token + columns[None, :]
    dtype: tl.constexpr = q.dtype.element_ty
    first = tl.load(at, mask=known, other=0.0).to(tl.float32)
    second = tl.load(at + half, mask=known, other=0.0).to(tl.float32)
    # Each product is rounded before the sum, as torch's are; hence no fusion of the two.
    low = (first * c1).to(dtype).to(tl.float32) + (-second * s1).to(dtype).to(tl.float32)
    high = (second * c2).to(dtype).to(tl.float32) + (first * s2).to(dtype).to(tl.float32)
    tl.store(to, low.to(dtype), mask=known)
    tl.store(to + half, high.to(dtype), mask=known)

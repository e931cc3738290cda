"""How far the fast path may be from the slow one, in log-probability, by dtype, and why."""

# Sums of a few thousand float32 products in another order.
FLOAT32 = 1e-4

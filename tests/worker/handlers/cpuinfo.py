"""Stands in for the package that the SDK asks, at its import, what the processor is called: a second of every start."""


def get_cpu_info() -> dict[str, str]:
    """As much of it as the SDK reads."""
    return {"brand_raw": "of the tests"}

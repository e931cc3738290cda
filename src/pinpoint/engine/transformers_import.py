"""The first import of transformers, without what it brings along only because it is installed."""

from __future__ import annotations


def import_without_scipy() -> None:
    """Import transformers' model classes; scipy stays out of the process until somebody of ours asks for it.

    Its losses for finding objects in pictures come in with every model, and with them scipy.optimize wherever scipy is
    installed: 0.4 s of a worker's start (medians of 7 starts each, in turn, on a loaded machine: 3.53 s of processor
    against 3.94 s). They are not used here. Elsewhere transformers imports scipy and scikit-learn inside functions.
    """
    import transformers.utils

    is_available = transformers.utils.is_scipy_available
    transformers.utils.is_scipy_available = lambda: False
    try:
        import transformers.modeling_utils
    finally:
        transformers.utils.is_scipy_available = is_available

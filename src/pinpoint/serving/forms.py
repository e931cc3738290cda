"""What a job says beside its input, and inputs that are no request."""

from __future__ import annotations

from typing import Any

from pinpoint.api.ways import find_way

LONGEST_DEADLINE_S = 1e9


def asks_for_health(job: Any) -> bool:
    """Whether a job's input is the question how the worker is."""
    return isinstance(job, dict) and isinstance(job.get("input"), dict) and job["input"] == {"health": True}


def deadline_of(job: dict[str, Any], default_s: float) -> float | None:
    """What the job's own policy says, where it says something, else the setting; None for no end."""
    policy = job.get("policy")
    told_ms = policy.get("executionTimeout") if isinstance(policy, dict) else None
    if isinstance(told_ms, int | float) and not isinstance(told_ms, bool) and told_ms > 0:
        return min(told_ms, LONGEST_DEADLINE_S * 1e3) / 1e3
    return default_s or None


def asks_for_models(raw: Any) -> bool:
    """Whether a job's input is the route of the models. Raises RequestError as `find_way` does."""
    return isinstance(raw, dict) and find_way(raw).shape == "models"

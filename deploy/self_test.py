"""Does what is installed here work? `python handler.py --test_input` is run, and its answer is looked at.

The image does it when it is built, and the workflow on every change. Exit code 0: the invoice in test_input.json is
called an invoice. Needs nothing but the worker beside it.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

TEST_INPUT = "test_input.json"


def fault(output: str, labels: list[str]) -> str:
    """What is wrong with an answer to TEST_INPUT, or an empty string."""
    try:
        answer: dict[str, Any] = json.loads(output)
        (result,) = answer["results"]
        (decided,) = result["answers"].values()
        listed = dict(zip(decided["labels"], decided["scores"], strict=True))
    except (ValueError, KeyError, TypeError) as error:
        return f"not an answer: {type(error).__name__}"
    if sorted(listed) != sorted(labels):
        return "not the labels that were asked for"
    if decided["label"] != "invoice" or not 0.9 < listed["invoice"] <= 1:
        return f"the invoice is called {decided['label']!r}, {listed.get('invoice')}"
    if abs(sum(listed.values()) - 1) > 1e-4:
        return f"scores add up to {sum(listed.values())}"
    return ""


def main() -> None:
    """Run the handler once and judge its answer."""
    with open(TEST_INPUT, encoding="utf-8") as file:
        labels = json.load(file)["input"]["labels"]
    done = subprocess.run(
        [sys.executable, "handler.py", "--test_input", TEST_INPUT], stdout=subprocess.PIPE, text=True, check=False
    )
    wrong = fault(done.stdout, labels) if done.returncode == 0 else f"exit code {done.returncode}"
    if wrong:
        sys.exit(f"self-test failed: {wrong}")
    print("self-test passed: the invoice is an invoice")


if __name__ == "__main__":
    main()

"""Benches whose figures decide something."""

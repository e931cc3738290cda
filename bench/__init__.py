"""Measurements: each file measures both sides in turn in one process and prints the ceiling beside its figures."""

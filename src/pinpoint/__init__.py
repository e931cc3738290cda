"""Pinpoint: classify documents by scoring every label exactly, with an 8-bit language model wholly on one GPU."""

__version__ = "0.1.0"

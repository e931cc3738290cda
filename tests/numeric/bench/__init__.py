"""Benches that look into models."""

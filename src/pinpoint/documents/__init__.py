"""From what the caller sent to pages of clean text."""

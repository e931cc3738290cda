"""Forest → log-probabilities: packing, attention, the prefix store, scoring, and reasons written token by token."""

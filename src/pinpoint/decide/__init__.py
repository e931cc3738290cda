"""From log-probabilities to a label, its score and a decision; pure."""

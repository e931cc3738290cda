"""A local page on which people look at the answers that are unsure: documents, labels, evidence, and what is chosen."""

"""Where a model's files lie, and whether they are whole: a name becomes a folder. Torch-free."""

"""The model on its device: the only room that imports torch."""

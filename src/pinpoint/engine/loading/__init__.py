"""Checkpoint → model on its device, and a quantised checkpoint out of a 16-bit one."""

"""Figures about the running worker: what INFO shows, and where the numbers come from."""

"""Slots that move: whole and at once, or key by key."""

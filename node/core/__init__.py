"""The compiled hot path: keys in slot tables, requests found in place, replies, connections."""

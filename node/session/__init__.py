"""A client's conversation: its state, and what a request passes on its way to a handler."""

"""Clients whose conversation has a state, and what the proxy listens to for them.

session, sessions     the state, and the commands that begin, use and end it
transactions, blocking
                      borrow a connection of their own (dedicated)
users                 a client's own login at the workers
subscriptions, monitors, tracking
                      share lines on which the proxy listens (lines, hub, invalidations)
"""

"""The disk tier (`storage-engine disk`): a dataset that may exceed memory.

Memory keeps the keys that are in use, a store on the disk (store.py) has all that was ever told to it.
Changes are written behind: the tier (tier.py) hands dirty keys to the scribe (scribe.py), a process of its
own that applies them to the store and makes them durable. What of a database is where, is kept by
node/core/cold.pyx.
"""

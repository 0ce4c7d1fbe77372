"""Transactions: texts of COMMAND DOCS, in the form that the package describes."""

TEXT = """
discard: Drops the commands queued in a transaction.
    time      O(N)
exec: Runs the commands queued in a transaction.
    time      Depends on the commands.
multi: Begins a transaction.
    time      O(1)
unwatch: Stops watching keys.
    time      O(1)
watch: Makes the next transaction fail if one of the keys changes.
    time      O(1)
    syntax    key ...
"""

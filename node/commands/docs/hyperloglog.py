"""HyperLogLog: texts of COMMAND DOCS, in the form that the package describes."""

TEXT = """
pfadd: Counts elements in a HyperLogLog, which is made if absent.
    time      O(1)
    syntax    key [element ...]
pfcount: Estimates how many distinct elements were counted.
    time      O(1)
    syntax    key ...
pfdebug: Looks inside a HyperLogLog, for tests.
    syntax    subcommand key
    internal
pfmerge: Joins HyperLogLogs into one.
    time      O(N)
    syntax    destkey [sourcekey#1 ...]
pfselftest: Tests the HyperLogLog code.
    internal
"""

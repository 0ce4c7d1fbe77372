"""The append-only file: every write, in the order of execution, in a directory of parts."""

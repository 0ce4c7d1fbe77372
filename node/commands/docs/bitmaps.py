"""Bitmaps: texts of COMMAND DOCS, in the form that the package describes."""

TEXT = """
bitcount: Counts the bits set in a string or a part of it.
    time      O(N)
    syntax    key [range=(start [end-unit-block=(end [unit=(BYTE | BIT)]@7.0.0)])]
    7.0.0     BYTE and BIT.
    8.0.0     Without an end, up to the last byte.
bitfield: Reads and changes integers of any width inside a string.
    time      O(1)
    syntax    key [operation=(GET get-block=(encoding offset) | write=([OVERFLOW overflow-block=(WRAP | SAT |
              FAIL)] write-operation=(SET set-block=(encoding offset value:integer) | INCRBY
              incrby-block=(encoding offset increment)))) ...]
bitfield_ro: Reads integers of any width inside a string.
    time      O(1)
    syntax    key [GET get-block=(encoding offset) ,...]
bitop: Combines strings bit by bit and stores the outcome.
    time      O(N)
    syntax    operation=(AND | OR | XOR | NOT | DIFF | DIFF1 | ANDOR | ONE) destkey key#1 ...
bitpos: Finds the first bit that is 0, or 1, in a string.
    time      O(N)
    syntax    key bit [range=(start [end-unit-block=(end [unit=(BYTE | BIT)]@7.0.0)])]
    7.0.0     BYTE and BIT.
getbit: Returns one bit of a string.
    time      O(1)
    syntax    key offset
setbit: Sets one bit of a string, which grows as needed.
    time      O(1)
    syntax    key offset value:integer
"""

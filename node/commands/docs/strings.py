"""Strings: texts of COMMAND DOCS, in the form that the package describes."""

TEXT = """
append: Adds bytes to the end of a string, which is made if absent.
    time      O(1)
    syntax    key value
decr: Takes one from an integer.
    time      O(1)
    syntax    key
decrby: Takes a number from an integer.
    time      O(1)
    syntax    key decrement
delifeq: Removes a string if it equals a given one.
    time      O(1)
    syntax    key value
get: Returns a string.
    time      O(1)
    syntax    key
getdel: Returns a string and removes it.
    time      O(1)
    syntax    key
getex: Returns a string and changes when it expires.
    time      O(1)
    syntax    key [expiration=(EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT
              unix-time-milliseconds | PERSIST)]
getrange: Returns a part of a string.
    time      O(N)
    syntax    key start end
getset: Returns a string and replaces it.
    time      O(1)
    syntax    key value
    replaced  6.2.0 by SET with GET
incr: Adds one to an integer.
    time      O(1)
    syntax    key
incrby: Adds a number to an integer.
    time      O(1)
    syntax    key increment
incrbyfloat: Adds a number to a floating-point number.
    time      O(1)
    syntax    key increment:double
lcs: Finds the longest common subsequence of two strings.
    time      O(N*M)
    syntax    key1 key2 [LEN] [IDX] [MINMATCHLEN min-match-len] [WITHMATCHLEN]
mget: Returns several strings.
    time      O(N)
    syntax    key ...
mset: Stores several strings.
    time      O(N)
    syntax    data=(key value) ...
msetex: Stores several strings together with when they expire.
    time      O(N)
    syntax    numkeys data=(key value) ... [condition=(NX | XX)] [expiration=(EX seconds | PX milliseconds |
              EXAT unix-time-seconds | PXAT unix-time-milliseconds | KEEPTTL)]
msetnx: Stores several strings if none of the keys exists.
    time      O(N)
    syntax    data=(key value) ...
psetex: Stores a string that expires after some milliseconds.
    time      O(1)
    syntax    key milliseconds value
    replaced  2.6.12 by SET with PX
set: Stores a string, whatever the key held before.
    time      O(1)
    syntax    key value [condition=(NX@2.6.12 | XX@2.6.12 | IFEQ comparison-value@8.1.0)] [GET]@6.2.0
              [expiration=(EX seconds@2.6.12 | PX milliseconds@2.6.12 | EXAT unix-time-seconds@6.2.0 | PXAT
              unix-time-milliseconds@6.2.0 | KEEPTTL@6.0.0)]
    2.6.12    EX, PX, NX and XX.
    6.0.0     KEEPTTL.
    6.2.0     GET, EXAT and PXAT.
    7.0.0     NX and GET together.
    8.1.0     IFEQ.
setex: Stores a string that expires after some seconds.
    time      O(1)
    syntax    key seconds value
    replaced  2.6.12 by SET with EX
setnx: Stores a string unless the key exists.
    time      O(1)
    syntax    key value
    replaced  2.6.12 by SET with NX
setrange: Overwrites a part of a string, which grows as needed.
    time      O(1)
    syntax    key offset value
strlen: Returns the length of a string.
    time      O(1)
    syntax    key
substr: Returns a part of a string.
    time      O(N)
    syntax    key start end
    replaced  2.0.0 by GETRANGE
"""

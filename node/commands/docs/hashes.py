"""Hashes: texts of COMMAND DOCS, in the form that the package describes."""

TEXT = """
hdel: Removes fields.
    time      O(N)
    syntax    key field ...
    2.4.0     Several fields.
hexists: Tells whether a field exists.
    time      O(1)
    syntax    key field
hexpire: Makes fields expire after some seconds.
    time      O(N)
    syntax    key seconds [condition=(NX | XX | GT | LT)] FIELDS fields=(numfields field ...)
hexpireat: Makes fields expire at a time in seconds.
    time      O(N)
    syntax    key unix-time-seconds [condition=(NX | XX | GT | LT)] FIELDS fields=(numfields field ...)
hexpiretime: Tells when fields expire, in seconds.
    time      O(N)
    syntax    key FIELDS fields=(numfields field ...)
hget: Returns the value of a field.
    time      O(1)
    syntax    key field
hgetall: Returns all fields with their values.
    time      O(N)
    syntax    key
hgetdel: Returns the values of fields and removes them.
    time      O(N)
    syntax    key FIELDS fields=(numfields field ...)
hgetex: Returns the values of fields and changes when they expire.
    time      O(N)
    syntax    key [expiration=(EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT
              unix-time-milliseconds | PERSIST)] FIELDS fields=(numfields field ...)
hincrby: Adds a number to an integer in a field.
    time      O(1)
    syntax    key field increment
hincrbyfloat: Adds a number to a floating-point number in a field.
    time      O(1)
    syntax    key field increment:double
hkeys: Returns the names of all fields.
    time      O(N)
    syntax    key
hlen: Counts the fields.
    time      O(1)
    syntax    key
hmget: Returns the values of several fields.
    time      O(N)
    syntax    key field ...
hmset: Sets several fields.
    time      O(N)
    syntax    key data=(field value) ...
    replaced  4.0.0 by HSET with several fields
hpersist: Makes fields stay that were to expire.
    time      O(N)
    syntax    key FIELDS fields=(numfields field ...)
hpexpire: Makes fields expire after some milliseconds.
    time      O(N)
    syntax    key milliseconds [condition=(NX | XX | GT | LT)] FIELDS fields=(numfields field ...)
hpexpireat: Makes fields expire at a time in milliseconds.
    time      O(N)
    syntax    key unix-time-milliseconds [condition=(NX | XX | GT | LT)] FIELDS fields=(numfields field ...)
hpexpiretime: Tells when fields expire, in milliseconds.
    time      O(N)
    syntax    key FIELDS fields=(numfields field ...)
hpttl: Tells how long fields have to live, in milliseconds.
    time      O(N)
    syntax    key FIELDS fields=(numfields field ...)
hrandfield: Returns random fields.
    time      O(N)
    syntax    key [options=(count [WITHVALUES])]
hscan: Walks over the fields.
    time      O(1)
    syntax    key cursor [MATCH pattern] [COUNT count] [NOVALUES]
hset: Sets fields.
    time      O(1)
    syntax    key data=(field value) ...
    4.0.0     Several fields.
hsetex: Sets fields together with when they expire.
    time      O(N)
    syntax    key [key-condition=(NX | XX)] [fields-condition=(FNX | FXX)] [expiration=(EX seconds |
              PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds | KEEPTTL)]
              FIELDS fields=(numfields#0 data=(field value) ...)
hsetnx: Sets a field unless it exists.
    time      O(1)
    syntax    key field value
hstrlen: Returns the length of a field's value.
    time      O(1)
    syntax    key field
httl: Tells how long fields have to live, in seconds.
    time      O(N)
    syntax    key FIELDS fields=(numfields field ...)
hvals: Returns all values.
    time      O(N)
    syntax    key
"""

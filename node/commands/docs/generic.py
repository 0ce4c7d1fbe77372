"""Generic: texts of COMMAND DOCS, in the form that the package describes."""

TEXT = """
copy: Copies a value to another key.
    time      O(N)
    syntax    source destination#1 [DB destination-db] [REPLACE]
del: Removes keys.
    time      O(N)
    syntax    key ...
dump: Shows a value in the form that RESTORE takes.
    time      O(1)
    syntax    key
exists: Counts those of the keys that exist.
    time      O(N)
    syntax    key ...
    3.0.3     Several keys.
expire: Makes a key expire after some seconds.
    time      O(1)
    syntax    key seconds [condition=(NX | XX | GT | LT)]@7.0.0
    7.0.0     NX, XX, GT and LT.
expireat: Makes a key expire at a time in seconds.
    time      O(1)
    syntax    key unix-time-seconds [condition=(NX | XX | GT | LT)]@7.0.0
    7.0.0     NX, XX, GT and LT.
expiretime: Tells when a key expires, in seconds.
    time      O(1)
    syntax    key
keys: Names all keys that match a pattern.
    time      O(N)
    syntax    pattern
migrate: Moves keys to another server.
    time      O(N)
    syntax    host port key-selector=(key | empty-string=) destination-db timeout:integer [COPY]@3.0.0
              [REPLACE]@3.0.0 [authentication=(AUTH auth/password@4.0.7 | AUTH2 auth2=(username
              password)@6.0.0)] [KEYS keys/key#1 ...]@3.0.6
    3.0.0     COPY and REPLACE.
    3.0.6     KEYS.
    4.0.7     AUTH.
    6.0.0     AUTH2.
move: Moves a key to another database.
    time      O(1)
    syntax    key db
object: Groups the commands that look inside values.
    time      Depends on the subcommand.
object encoding: Names the representation of a value.
    time      O(1)
    syntax    key
object freq: Shows how often a key is used, on a logarithmic scale.
    time      O(1)
    syntax    key
object help: Explains the subcommands of OBJECT.
    time      O(1)
object idletime: Tells the seconds since a key was last used.
    time      O(1)
    syntax    key
object refcount: Counts the references to a value.
    time      O(1)
    syntax    key
persist: Makes a key stay that was to expire.
    time      O(1)
    syntax    key
pexpire: Makes a key expire after some milliseconds.
    time      O(1)
    syntax    key milliseconds [condition=(NX | XX | GT | LT)]@7.0.0
    7.0.0     NX, XX, GT and LT.
pexpireat: Makes a key expire at a time in milliseconds.
    time      O(1)
    syntax    key unix-time-milliseconds [condition=(NX | XX | GT | LT)]@7.0.0
    7.0.0     NX, XX, GT and LT.
pexpiretime: Tells when a key expires, in milliseconds.
    time      O(1)
    syntax    key
pttl: Tells how long a key has to live, in milliseconds.
    time      O(1)
    syntax    key
    2.8.0     Replies -2.
randomkey: Names a random key.
    time      O(1)
rename: Renames a key, replacing what has the new name.
    time      O(1)
    syntax    key newkey#1
renamenx: Renames a key unless the new name exists.
    time      O(1)
    syntax    key newkey#1
    3.2.0     No error where both names are the same.
restore: Makes a key from what DUMP showed.
    time      O(1)
    syntax    key ttl serialized-value [REPLACE]@3.0.0 [ABSTTL]@5.0.0 [IDLETIME seconds]@5.0.0 [FREQ
              frequency]@5.0.0
    3.0.0     REPLACE.
    5.0.0     ABSTTL.
    5.0.0     IDLETIME and FREQ.
scan: Walks over the keys.
    time      O(1)
    syntax    cursor [MATCH pattern] [COUNT count] [TYPE type]@6.0.0
    6.0.0     TYPE.
sort: Sorts the elements of a list, set or sorted set, and may store them.
    time      O(N+M*log(M))
    syntax    key [BY by-pattern/pattern#1] [LIMIT limit=(offset count)] [GET get-pattern/pattern#1 ,...]
              [order=(ASC | DESC)] [sorting=ALPHA] [STORE destination#2]
sort_ro: Sorts the elements of a list, set or sorted set.
    time      O(N+M*log(M))
    syntax    key [BY by-pattern/pattern#1] [LIMIT limit=(offset count)] [GET get-pattern/pattern#1 ,...]
              [order=(ASC | DESC)] [sorting=ALPHA]
touch: Marks keys as just used, and counts those that exist.
    time      O(N)
    syntax    key ...
ttl: Tells how long a key has to live, in seconds.
    time      O(1)
    syntax    key
    2.8.0     Replies -2.
type: Names the type of a key.
    time      O(1)
    syntax    key
unlink: Removes keys, freeing their memory later.
    time      O(1)
    syntax    key ...
wait: Waits until replicas have this connection's writes.
    time      O(1)
    syntax    numreplicas timeout:integer
waitaof: Waits until this connection's writes are in append-only files, here and on replicas.
    time      O(1)
    syntax    numlocal numreplicas timeout:integer
"""

"""Sets: texts of COMMAND DOCS, in the form that the package describes."""

TEXT = """
sadd: Adds members to a set, which is made if absent.
    time      O(1)
    syntax    key member ...
    2.4.0     Several members.
scard: Counts the members.
    time      O(1)
    syntax    key
sdiff: Returns the members that only the first set has.
    time      O(N)
    syntax    key ...
sdiffstore: Stores the members that only the first set has.
    time      O(N)
    syntax    destination key#1 ...
sinter: Returns the members that all sets have.
    time      O(N*M)
    syntax    key ...
sintercard: Counts the members that all sets have.
    time      O(N*M)
    syntax    numkeys key ... [LIMIT limit]
sinterstore: Stores the members that all sets have.
    time      O(N*M)
    syntax    destination key#1 ...
sismember: Tells whether something is a member.
    time      O(1)
    syntax    key member
smembers: Returns all members.
    time      O(N)
    syntax    key
smismember: Tells which of several are members.
    time      O(N)
    syntax    key member ...
smove: Moves a member from one set to another.
    time      O(1)
    syntax    source destination#1 member
spop: Takes random members out.
    time      O(1)
    syntax    key [count]@3.2.0
    3.2.0     Count.
srandmember: Returns random members.
    time      O(1)
    syntax    key [count]@2.6.0
    2.6.0     Count.
srem: Removes members.
    time      O(N)
    syntax    key member ...
    2.4.0     Several members.
sscan: Walks over the members.
    time      O(1)
    syntax    key cursor [MATCH pattern] [COUNT count]
sunion: Returns the members of all sets together.
    time      O(N)
    syntax    key ...
sunionstore: Stores the members of all sets together.
    time      O(N)
    syntax    destination key#1 ...
"""

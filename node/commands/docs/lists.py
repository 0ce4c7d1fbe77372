"""Lists: texts of COMMAND DOCS, in the form that the package describes."""

TEXT = """
blmove: Moves an element between ends of two lists, waiting until there is one.
    time      O(1)
    syntax    source destination#1 wherefrom=(LEFT | RIGHT) whereto=(LEFT | RIGHT) timeout
blmpop: Takes elements off the first list that has any, waiting until one does.
    time      O(N+M)
    syntax    timeout numkeys key ... where=(LEFT | RIGHT) [COUNT count]
blpop: Takes the first element of the first list that has any, waiting until one does.
    time      O(N)
    syntax    key ... timeout
    6.0.0     Fractions of a second.
brpop: Takes the last element of the first list that has any, waiting until one does.
    time      O(N)
    syntax    key ... timeout
    6.0.0     Fractions of a second.
brpoplpush: Moves the last element of a list to the front of another, waiting until there is one.
    time      O(1)
    syntax    source destination#1 timeout
    6.0.0     Fractions of a second.
    replaced  6.2.0 by BLMOVE with RIGHT and LEFT
lindex: Returns the element at an index.
    time      O(N)
    syntax    key index
linsert: Puts an element before or after another.
    time      O(N)
    syntax    key where=(BEFORE | AFTER) pivot element
llen: Counts the elements.
    time      O(1)
    syntax    key
lmove: Moves an element between ends of two lists.
    time      O(1)
    syntax    source destination#1 wherefrom=(LEFT | RIGHT) whereto=(LEFT | RIGHT)
lmpop: Takes elements off the first list that has any.
    time      O(N+M)
    syntax    numkeys key ... where=(LEFT | RIGHT) [COUNT count]
lpop: Takes elements off the front.
    time      O(N)
    syntax    key [count]@6.2.0
    6.2.0     Count.
lpos: Finds the index of equal elements.
    time      O(N)
    syntax    key element [RANK rank] [COUNT num-matches] [MAXLEN len]
lpush: Puts elements in front of a list, which is made if absent.
    time      O(1)
    syntax    key element ...
    2.4.0     Several elements.
lpushx: Puts elements in front of a list that exists.
    time      O(1)
    syntax    key element ...
    4.0.0     Several elements.
lrange: Returns the elements between two indexes.
    time      O(S+N)
    syntax    key start stop
lrem: Removes elements equal to a given one.
    time      O(N+M)
    syntax    key count element
lset: Replaces the element at an index.
    time      O(N)
    syntax    key index element
ltrim: Keeps only the elements between two indexes.
    time      O(N)
    syntax    key start stop
rpop: Takes elements off the end.
    time      O(N)
    syntax    key [count]@6.2.0
    6.2.0     Count.
rpoplpush: Moves the last element of a list to the front of another.
    time      O(1)
    syntax    source destination#1
    replaced  6.2.0 by LMOVE with RIGHT and LEFT
rpush: Puts elements at the end of a list, which is made if absent.
    time      O(1)
    syntax    key element ...
    2.4.0     Several elements.
rpushx: Puts elements at the end of a list that exists.
    time      O(1)
    syntax    key element ...
    4.0.0     Several elements.
"""

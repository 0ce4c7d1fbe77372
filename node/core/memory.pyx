"""How much memory the data takes, counted where it is allocated.

The keyspace, the collections and the buffers of the compiled core take their blocks with the functions of
memory.pxd, which add up what the allocator really hands out. So `used_bytes` is exact for them and costs nothing
to ask, which eviction does before every write. What Python itself takes is not in it.
"""


def used_bytes() -> int:
    """Bytes that the compiled core holds at this moment, the allocator's overhead included."""
    return used

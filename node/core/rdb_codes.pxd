"""The numbers of RDB that compiled code needs. What they mean: node/persistence/rdb/format.py, which has all."""

cdef enum:
    LENGTH_14 = 0x40
    LENGTH_32 = 0x80
    LENGTH_64 = 0x81
    STRING_INT8 = 0xC0
    STRING_INT16 = 0xC1
    STRING_INT32 = 0xC2
    STRING_LZF = 0xC3

    OP_EXPIRE_MS = 252
    OP_FREQ = 249
    OP_IDLE = 248

    CODE_STRING = 0
    CODE_SET = 2
    CODE_HASH = 4
    CODE_ZSET_2 = 5
    CODE_SET_INTSET = 11
    CODE_HASH_LISTPACK = 16
    CODE_ZSET_LISTPACK = 17
    CODE_LIST_QUICKLIST_2 = 18
    CODE_SET_LISTPACK = 20
    CODE_STREAM_LISTPACKS_3 = 21
    CODE_HASH_METADATA = 24
    CODE_HASH_LISTPACK_EX = 25

    NODE_PLAIN = 1
    NODE_PACKED = 2

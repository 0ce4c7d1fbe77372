class Limits:
    hash_max_listpack_entries: int
    hash_max_listpack_value: int
    list_max_listpack_size: int
    set_max_intset_entries: int
    set_max_listpack_entries: int
    set_max_listpack_value: int
    stream_node_max_bytes: int
    stream_node_max_entries: int
    zset_max_listpack_entries: int
    zset_max_listpack_value: int
    hll_sparse_max_bytes: int
    def update(self, **values: int) -> None: ...
    def list_fits(self, length: int, size: int) -> bool: ...

limits_of_process: Limits

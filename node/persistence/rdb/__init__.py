"""Redis' snapshot format. format.py holds its grammar; writer.py and reader.py stand on either side of it."""

from node.persistence.rdb.format import RdbError
from node.persistence.rdb.payload import dump_functions, dump_payload, load_functions, load_payload
from node.persistence.rdb.reader import Entry, RdbReader
from node.persistence.rdb.writer import dump_value, write_rdb

__all__ = [
    "Entry", "RdbError", "RdbReader", "dump_functions", "dump_payload", "dump_value", "load_functions",
    "load_payload", "write_rdb",
]  # fmt: skip

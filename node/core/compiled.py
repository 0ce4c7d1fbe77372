"""The compiled handlers of all groups of commands. What one is and may do: compiled.pxd."""

from node.core.engine import Engine
from node.core.hot_hashes import install as install_hashes
from node.core.hot_keys import install as install_keys
from node.core.hot_lists import install as install_lists
from node.core.hot_pubsub import install as install_pubsub
from node.core.hot_sets import install as install_sets
from node.core.hot_sorted_set_ranges import install as install_sorted_set_ranges
from node.core.hot_sorted_sets import install as install_sorted_sets
from node.core.hot_stream_ranges import install as install_stream_ranges
from node.core.hot_streams import install as install_streams
from node.core.hot_strings import install as install_strings
from node.core.hot_transactions import install as install_transactions


def install(engine: Engine) -> None:
    """Let `engine`, whose rows are loaded, use them."""
    install_hashes(engine)
    install_keys(engine)
    install_lists(engine)
    install_pubsub(engine)
    install_sets(engine)
    install_sorted_set_ranges(engine)
    install_sorted_sets(engine)
    install_stream_ranges(engine)
    install_streams(engine)
    install_strings(engine)
    install_transactions(engine)

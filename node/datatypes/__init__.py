"""The values that keys hold, other than strings: plain structures that know no protocol, keys or settings.

Each type has `type_name` (what TYPE prints), `len()`, `encoding` (what OBJECT ENCODING prints) and `copy()`.
An encoding says which representation Redis would have chosen for the same history: compact while small, by
the thresholds in `limits`, and never back, except that a list shrinks.
"""

from node.core.hash import Hash
from node.core.list import List
from node.core.set import Set
from node.core.sorted_set import SortedSet
from node.datatypes.stream import Stream

__all__ = ["Hash", "List", "Set", "SortedSet", "Stream"]

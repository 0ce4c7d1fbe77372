"""How large a collection may grow before Redis would leave its compact encoding.

`limits` is one object for the process (node/core/packing_limits.pyx has its fields). NAMES are those of its
fields: directives with underscores.
"""

from types import GetSetDescriptorType
from typing import Final

from node.core.packing_limits import Limits, limits_of_process

limits = limits_of_process
NAMES: Final = tuple(name for name, held in vars(Limits).items() if isinstance(held, GetSetDescriptorType))

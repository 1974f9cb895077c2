"""pairlens: contrastive self-supervised learning on images that shows its positive and negative pairs."""

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pairlens.record.observe import Observer, observe

__version__ = "0.1.0"
__all__ = ["Observer", "__version__", "observe"]

os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
"""Large tensors in pages of 2 MiB, where Linux has them: torch looks at this with its first tensor, unless it is set.

Page faults else take a third of the time in which a CPU renders views of 224 pixels, and 6 % of a ResNet-18's step.
"""


def __getattr__(name: str) -> object:
    """Import what needs torch when it is asked for, so that `import pairlens` and `pairlens --help` are instant."""
    if name in ("Observer", "observe"):
        from pairlens.record import observe as module

        return getattr(module, name)
    raise AttributeError(f"module 'pairlens' has no attribute {name!r}")

"""pairlens: contrastive self-supervised learning on images that shows its positive and negative pairs."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pairlens.record.observe import Observer, observe

__version__ = "0.1.0"
__all__ = ["Observer", "__version__", "observe"]


def __getattr__(name: str) -> object:
    """Import what needs torch when it is asked for, so that `import pairlens` and `pairlens --help` are instant."""
    if name in ("Observer", "observe"):
        from pairlens.record import observe as module

        return getattr(module, name)
    raise AttributeError(f"module 'pairlens' has no attribute {name!r}")

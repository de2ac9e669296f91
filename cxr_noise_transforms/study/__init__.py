"""The study: what noise does to a trained model, and everything its examples are built from.

What it offers at its front door is listed in ``__init__.pyi`` and imported when first used.
"""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)

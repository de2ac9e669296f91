"""Physically defined quantum and electronic noise for chest radiographs, in PyTorch.

What the package offers is listed in ``__init__.pyi``; a name's module, and with it torch, is
imported when the name is first used.
"""

import lazy_loader as lazy

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)

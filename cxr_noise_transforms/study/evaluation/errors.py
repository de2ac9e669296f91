"""What this package refuses inside of a MONAI bundle, as if it had been called directly."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from cxr_noise_transforms.study.processes import REFUSALS, said_in_worker


@contextmanager
def own_errors() -> Iterator[None]:
    """What this package refused, without the layers that MONAI's configuration wraps it in."""
    try:
        yield
    except RuntimeError as error:
        cause: BaseException | None = error
        while cause is not None:
            said = said_in_worker(cause)
            if said is not None and said[0] in REFUSALS:
                raise REFUSALS[said[0]](said[1]) from None
            if said is None and isinstance(cause, tuple(REFUSALS.values())):
                raise cause from None
            cause = cause.__cause__
        raise

"""``python -m cxr_noise_transforms.study VERB ...`` is ``cxr-noise VERB ...``."""

import sys

from .command.main import main

if __name__ == "__main__":
    sys.exit(main())

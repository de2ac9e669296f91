"""Time the noises and their peers on a CUDA device: ``python -m benchmarks.cuda``."""

import torch

from .engine import main
from .grid import CUDA_GRID
from .ours import OURS
from .peers import CUDA_PEERS

if __name__ == "__main__":
    if not torch.cuda.is_available():
        raise SystemExit("no CUDA device")
    main("cuda", CUDA_GRID, (*OURS, *CUDA_PEERS))

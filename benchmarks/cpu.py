"""Time the noises and their peers on the CPU: ``python -m benchmarks.cpu``."""

from .engine import main
from .grid import CPU_GRID
from .ours import OURS
from .peers import CPU_PEERS

if __name__ == "__main__":
    main("cpu", CPU_GRID, (*OURS, *CPU_PEERS))

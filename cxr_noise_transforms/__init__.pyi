from ._exposure import Exposure
from ._noise import NoiseModule
from ._random import image_seeds
from ._record import noise_record, replay_record
from .electronic import ElectronicNoise, electronic_noise
from .quantum import QuantumNoise, quantum_noise
from .radiographic import RadiographicNoise, radiographic_noise
from .severity import (
    LADDER,
    N0,
    SIGMA0,
    electronic_severity,
    electronic_sigma,
    electronic_snr,
    photons_per_pixel,
    quantum_severity,
    quantum_snr,
)

__version__: str

__all__ = [
    "LADDER",
    "N0",
    "SIGMA0",
    "ElectronicNoise",
    "Exposure",
    "NoiseModule",
    "QuantumNoise",
    "RadiographicNoise",
    "electronic_noise",
    "electronic_severity",
    "electronic_sigma",
    "electronic_snr",
    "image_seeds",
    "noise_record",
    "photons_per_pixel",
    "quantum_noise",
    "quantum_severity",
    "quantum_snr",
    "radiographic_noise",
    "replay_record",
]

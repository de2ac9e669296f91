from ._domain import LogExposure
from ._estimate import SeverityEstimate, estimate_severity
from ._exposure import Exposure
from ._noise import NoiseModule
from ._random import image_seeds
from ._record import noise_record, replay_record
from .electronic import ElectronicNoise, electronic_noise
from .quantum import QuantumNoise, quantum_noise
from .radiographic import RadiographicNoise, radiographic_noise
from .severity import (
    BEAMS,
    DOSE_FRACTIONS,
    LADDER,
    N0,
    SIGMA0,
    LogUniform,
    clinical_ladder,
    dose_of_quantum_severity,
    electronic_severity,
    electronic_sigma,
    electronic_snr,
    photons_of_dose,
    photons_per_pixel,
    quantum_severity,
    quantum_severity_of_dose,
    quantum_snr,
)

__version__: str

__all__ = [
    "BEAMS",
    "DOSE_FRACTIONS",
    "LADDER",
    "N0",
    "SIGMA0",
    "ElectronicNoise",
    "Exposure",
    "LogExposure",
    "LogUniform",
    "NoiseModule",
    "QuantumNoise",
    "RadiographicNoise",
    "SeverityEstimate",
    "clinical_ladder",
    "dose_of_quantum_severity",
    "electronic_noise",
    "electronic_severity",
    "electronic_sigma",
    "electronic_snr",
    "estimate_severity",
    "image_seeds",
    "noise_record",
    "photons_of_dose",
    "photons_per_pixel",
    "quantum_noise",
    "quantum_severity",
    "quantum_severity_of_dose",
    "quantum_snr",
    "radiographic_noise",
    "replay_record",
]

"""The columns of the long table, which evaluation writes and statistics read."""

#: of the long table, in their order
COLUMNS = (
    "task", "network", "weights", "training_seed", "sq", "se", "noise_seed", "degradation",
    "image", "patient", "source", "label", "metric", "value", "target",
)  # fmt: skip
# the degradation of a film that nothing but noise has degraded
UNDEGRADED = "none"

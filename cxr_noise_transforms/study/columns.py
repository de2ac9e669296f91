"""The columns of the long table, which evaluation writes and statistics read."""

#: of the long table, in their order; a table may have more
COLUMNS = (
    "task", "network", "weights", "training_seed", "sq", "se", "noise_seed", "degradation",
    "image", "patient", "source", "label", "metric", "value", "target",
)  # fmt: skip
# what is the same in all rows of a cell, and tells it from every other cell
CELL = COLUMNS[:8]
# every other one of COLUMNS is text
NUMBERS = dict.fromkeys(("sq", "se", "value", "target"), "float64") | dict.fromkeys(
    ("training_seed", "noise_seed"), "int64"
)
TEXT = tuple(name for name in COLUMNS if name not in NUMBERS)
# the degradation of a film that nothing but noise has degraded
UNDEGRADED = "none"

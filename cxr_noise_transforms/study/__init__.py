"""What the examples are built from: films, splits, networks, training, sweep, tables, figures."""

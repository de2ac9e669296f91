"""Timings beside peers, and the statistical report on what is drawn."""

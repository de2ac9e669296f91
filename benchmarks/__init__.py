"""Side-by-side timings with peers, and the statistical report on what is drawn."""

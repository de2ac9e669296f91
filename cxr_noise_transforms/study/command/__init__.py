"""The command lines: what all of them have in common, the options of the sweeps, and each verb."""

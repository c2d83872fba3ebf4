"""Published pretraining systems: what is paired, what is encoded, which objectives."""

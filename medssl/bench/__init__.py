"""Benchmarks of learning on real data, run by `medssl bench …`."""

"""Splits of participants, positive pairs, and the loader that turns them into batches."""

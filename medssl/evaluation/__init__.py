"""Embeddings and what they are worth: probes, baselines, metrics, participant-level statistics."""

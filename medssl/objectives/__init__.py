"""Objectives: losses as functions of embeddings, in single precision, outside autocast."""

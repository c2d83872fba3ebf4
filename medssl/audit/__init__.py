"""Audits of embeddings, splits and signals, and the one page that shows what they found."""

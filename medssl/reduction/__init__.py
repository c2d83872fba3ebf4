"""Dataset redundancy: which records are kept, and why the others are not."""

"""The stages of a pipeline: one module each, and what runs them."""

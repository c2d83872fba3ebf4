"""Image–text models: zero-shot scores, retrieval, whether the image matters, similarity maps."""

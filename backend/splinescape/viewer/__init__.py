"""Viewers: they listen to events of the pipeline, which knows nothing of them."""

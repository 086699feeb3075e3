"""The worker: a process of its own that makes scenes and renders them for the broker."""

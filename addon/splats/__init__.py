"""Splats as point clouds: in from files, out to files, transforms."""

"""Drawing splats with Blender's `gpu` module: the same for the viewport and for rendering."""

"""The camera path: an ordinary Blender curve, or whatever else moves a camera, read as poses."""

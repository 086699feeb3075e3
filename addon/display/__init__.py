"""How splats look in Blender: points, real Gaussians in the viewport, materials."""

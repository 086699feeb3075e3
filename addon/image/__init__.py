"""The picture that becomes a scene, and the Blender camera that stands where it was taken."""

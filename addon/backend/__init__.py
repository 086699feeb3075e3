"""The backend that Blender uses: installing, starting, connecting. Modules without `bpy` do the work."""

"""The backend that Blender uses: installing it, starting it, the connection to it. Modules without `bpy` do the work."""

"""The parts of build.py: environments with Blender inside, the extension. Standard library only."""

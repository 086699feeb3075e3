"""The service's messages and connection files: standard library only, so that Blender can use them as they are."""

"""Rendering the path back into the scene: the engine, the frames, the camera that follows the path."""

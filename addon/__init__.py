"""Splinescape in Blender: draw a camera path, click Generate Scene, fly through it.

Modules that need Blender are imported by `register` only, so that the others can be used and tested without it.
"""


def register() -> None:
    """Called by Blender when the extension is switched on."""
    from . import registration

    registration.register()


def unregister() -> None:
    """Called by Blender when the extension is switched off; leaves nothing behind."""
    from . import registration

    registration.unregister()

"""`object.splinescape.display`."""

import bpy


class SplatDisplay(bpy.types.PropertyGroup):
    """How the splats of an object are shown."""

    mode: bpy.props.EnumProperty(
        name="Display",
        description="How the splats are shown",
        items=(
            ("POINTS", "Points", "A dot for each splat: fast, and also in Solid mode"),
            ("SPLATS", "Splats", "Real Gaussians, drawn by the graphics card over the viewport"),
            ("MATERIAL", "Material", "Gaussians that Cycles and EEVEE render together with other objects"),
        ),
        default="POINTS",
    )


CLASSES = (SplatDisplay,)

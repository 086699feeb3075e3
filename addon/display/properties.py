"""`object.splinescape.display`."""

import bpy


def _changed(settings: bpy.types.PropertyGroup, _context: bpy.types.Context) -> None:
    from .modes import apply_mode

    apply_mode(settings.id_data)


def _mode_changed(settings: bpy.types.PropertyGroup, context: bpy.types.Context) -> None:
    from .render_settings import raise_bounces

    _changed(settings, context)
    if settings.mode == "MATERIAL":
        raise_bounces(context.scene)


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
        default="SPLATS",
        update=_mode_changed,
    )
    point_size: bpy.props.FloatProperty(
        name="Point Size",
        description="Radius of a dot, as a part of the splat's largest standard deviation",
        default=0.5,
        min=0.01,
        soft_max=3.0,
        update=_changed,
    )
    density: bpy.props.FloatProperty(
        name="Viewport Density",
        description="Part of the splats that the viewport shows as points or with the material; renders show all",
        default=1.0,
        min=0.001,
        max=1.0,
        subtype="FACTOR",
        update=_changed,
    )
    raw_colors: bpy.props.BoolProperty(
        name="Raw Colours",
        description=(
            "Emit the splats' colours as they are and blend them as splat viewers do, for the view transform Raw. "
            "Off: emit them in linear light, as lights and other materials do, for the view transform Standard"
        ),
        default=False,
        update=_changed,
    )
    face_camera: bpy.props.BoolProperty(
        name="Face Camera",
        description=(
            "Render each splat as a card towards the scene's camera, as splat viewers do. "
            "Off: as a ball of light, for mirrors and shadows seen from very different directions; "
            "then what lies close behind a surface may show through it"
        ),
        default=True,
        update=_changed,
    )
    use_sh: bpy.props.BoolProperty(
        name="View-Dependent Colour",
        description="Compute the colours for the position of the scene's camera from the spherical harmonics",
        default=True,
        update=_changed,
    )


CLASSES = (SplatDisplay,)

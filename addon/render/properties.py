"""`scene.splinescape.render`."""

import bpy

from .versions import RELATIVE_PATH

SCOPES = (
    ("PATH", "Whole Path", "The path from its beginning to its end, over the scene's frame range"),
    ("RANGE", "Frame Range", "The scene's frame range, through the scene's camera"),
    ("FRAME", "Current Frame", "The current frame, through the scene's camera"),
)
ENGINES = (
    ("OWN", "Blender", "The Splinescape render engine, on this computer's graphics card: all visible splats"),
    (
        "BACKEND",
        "Backend",
        "The backend that generated the scene, as it was generated; Blender stays free meanwhile",
    ),
)


class FrameSettings(bpy.types.PropertyGroup):
    """What is rendered, by whom, where it goes and what is made of it."""

    scope: bpy.props.EnumProperty(
        name="Frames",
        description="Which frames are rendered",
        items=SCOPES,
        default="PATH",
    )
    engine: bpy.props.EnumProperty(
        name="Rendered By",
        description="Who renders the frames",
        items=ENGINES,
        default="OWN",
    )
    percentage: bpy.props.IntProperty(
        name="Size",
        description="Size of the frames, in percent of the scene's resolution",
        subtype="PERCENTAGE",
        min=1,
        soft_max=100,
        max=400,
        default=100,
    )
    folder: bpy.props.StringProperty(
        name="Folder",
        description="Where the frames go; // is the folder of the .blend",
        subtype="DIR_PATH",
        options=RELATIVE_PATH,
        default="//splinescape/",
    )
    keep_existing: bpy.props.BoolProperty(
        name="Keep Frames",
        description="Do not render frames again that are in the folder already, to go on with what was cancelled",
        default=False,
    )
    make_movie: bpy.props.BoolProperty(
        name="Movie", description="Make an MP4 movie of the frames when they are done", default=False
    )
    make_background: bpy.props.BoolProperty(
        name="Camera Background",
        description="Show the frames behind the viewport as seen through the camera, when they are done",
        default=True,
    )
    make_compositor: bpy.props.BoolProperty(
        name="Depth Compositing",
        description="Set up the compositor when they are done, so that rendered objects go between the splats",
        default=False,
    )

    camera: bpy.props.PointerProperty(
        type=bpy.types.Object,
        name="Path Camera",
        description="The camera that follows the path; made by Make Path Camera",
    )
    rgb_image: bpy.props.PointerProperty(
        type=bpy.types.Image, name="Frames", description="The rendered frames as an image sequence"
    )
    depth_image: bpy.props.PointerProperty(
        type=bpy.types.Image,
        name="Depth",
        description="The depth of the rendered frames as an image sequence",
    )
    movie_image: bpy.props.PointerProperty(
        type=bpy.types.Image, name="Movie", description="The movie of the rendered frames"
    )
    composite: bpy.props.PointerProperty(
        type=bpy.types.NodeTree,
        name="Depth Composite",
        description="The compositor group that puts objects between the splats",
    )


CLASSES = (FrameSettings,)

"""`scene.splinescape.generate`."""

import zlib

import bpy

_KNOWN = {
    "inpaint": ("builtin", "flux-fill", "flux-2-klein"),
    "depth": ("builtin", "moge", "depth-pro", "depth-anything"),
    "raster": ("gsplat", "cpu"),
}
_AUTO = ("auto", "Automatic", "The best one that is installed at the backend", "NONE", 0)
_items: dict[str, list[tuple[str, str, str, str, int]]] = {}


def _number(name: str) -> int:
    """Saved in the .blend: must not depend on which engines a backend happens to have."""
    return zlib.crc32(name.encode()) & 0x7FFFFFFF


def engine_items(role: str) -> list[tuple[str, str, str, str, int]]:
    """Items of the menu of a role's engines: those of the connected backend, and all others that there are."""
    from ..backend import connect

    client = connect.current_client()
    capabilities = client.capabilities if client is not None else None
    there = {each.name: each for each in capabilities.engines if each.role == role} if capabilities else {}
    items = [_AUTO]
    for name in sorted({*_KNOWN[role], *there}):
        engine = there.get(name)
        if engine is None:
            items.append((name, name, "Not offered by the connected backend", "QUESTION", _number(name)))
        elif engine.available:
            about = ". ".join(part for part in (engine.note, engine.licence) if part) or "Available"
            items.append((name, name, about, "NONE", _number(name)))
        else:
            items.append((name, f"{name} (unavailable)", engine.reason or "", "ERROR", _number(name)))
    _items[role] = items  # Blender needs the strings to stay
    return items


def chosen_engine(settings: object, role: str) -> str:
    """The engine that the menu of a role is at; "auto" where that one is not known without a backend."""
    return getattr(settings, role) or "auto"


def _inpaint_items(_self: object, _context: object) -> list[tuple[str, str, str, str, int]]:
    return engine_items("inpaint")


def _depth_items(_self: object, _context: object) -> list[tuple[str, str, str, str, int]]:
    return engine_items("depth")


def _raster_items(_self: object, _context: object) -> list[tuple[str, str, str, str, int]]:
    return engine_items("raster")


class GenerateSettings(bpy.types.PropertyGroup):
    """The settings of the next scene, and the job that made the present one.

    The settings have the names, ranges and defaults of the service's `SceneConfig`; the stage alone begins at "coarse".
    """

    stage: bpy.props.EnumProperty(
        name="Stage",
        description="How far to go",
        items=(
            ("no-outpaint", "Picture Only", "Splats of what the picture shows"),
            ("outpaint", "Picture and Border", "Also a border around the picture that is made up"),
            ("coarse", "Along the Path", "Also everything that the camera path uncovers"),
            ("fine", "Along the Path, Refined", "Also fit all frames to each other; takes longer"),
        ),
        default="coarse",
    )
    expansion_percent: bpy.props.FloatProperty(
        name="Border",
        description="Border made up around the picture, as a fraction of its size; half on each side",
        default=0.3,
        min=0.0,
        max=2.0,
        precision=2,
        step=5,
    )
    n_frames: bpy.props.IntProperty(
        name="Frames",
        description="Frames of the scene at most, picture and border included",
        default=10,
        min=2,
        max=200,
    )
    max_resolution: bpy.props.IntProperty(
        name="Resolution",
        description="Longest side of the working picture in pixels",
        default=512,
        min=32,
        max=8192,
        step=32,
        subtype="PIXEL",
    )
    num_steps: bpy.props.IntProperty(
        name="Steps",
        description="Denoising steps of a diffusion model; the built-in engine has none",
        default=25,
        min=1,
        max=1000,
    )
    guidance: bpy.props.FloatProperty(
        name="Guidance",
        description="How closely a diffusion model follows the prompt",
        default=30.0,
        min=0.0,
        max=1000.0,
        soft_max=60.0,
        precision=1,
    )
    prompt: bpy.props.StringProperty(
        name="Prompt",
        description="What a diffusion model should imagine where nothing is known; may stay empty",
        maxlen=4000,
    )
    model_memory: bpy.props.EnumProperty(
        name="Model Memory",
        description="How a diffusion model is held in the memory of the backend's device",
        items=(
            ("auto", "Automatic", "As fits best into the memory that is free"),
            ("full", "Whole", "All of it on the device: fastest, needs most"),
            ("offload", "Moved in Parts", "Each part is on the device only while it works"),
            ("stream", "Streamed", "Layer by layer through the device: slow, needs least of it"),
            ("8bit", "8 Bits", "Rounded to 8 bits: half the memory, nearly the same pictures"),
            ("nf4", "4 Bits", "Rounded to 4 bits: a quarter of the memory, slightly other pictures"),
            ("gguf", "GGUF File", "From a rounded file that was downloaded as such"),
        ),
        default="auto",
    )
    seed: bpy.props.IntProperty(
        name="Seed",
        description="Seed of every random choice: the same seed gives the same scene",
        default=0,
        min=0,
    )
    coarse_dense_multiplier: bpy.props.IntProperty(
        name="Candidates",
        description="Candidate views per frame when choosing where to expand",
        default=10,
        min=1,
        max=1000,
        soft_max=50,
    )
    coarse_margin: bpy.props.IntProperty(
        name="Margin",
        description="Pixels added to the size of an expanded view for context",
        default=32,
        min=0,
        max=1024,
        subtype="PIXEL",
    )
    coarse_min_inpaint_ratio: bpy.props.FloatProperty(
        name="Least Uncovered",
        description="A view that uncovers a smaller share of its pixels is not expanded",
        default=0.05,
        min=0.0,
        max=1.0,
        precision=3,
        step=1,
    )
    coarse_max_inpaint_ratio: bpy.props.FloatProperty(
        name="Most Uncovered",
        description="A view that uncovers a larger share of its pixels is not expanded yet",
        default=0.25,
        min=0.0,
        max=1.0,
        precision=3,
        step=1,
    )
    coarse_adjacent_exclusion: bpy.props.IntProperty(
        name="Distance",
        description="Candidates on either side of a chosen view that are not chosen any more",
        default=1,
        min=0,
        max=100000,
        soft_max=20,
    )
    coarse_fallback_mode: bpy.props.EnumProperty(
        name="None in Range",
        description="What to do when no view uncovers a share in this range",
        items=(
            ("none", "Stop", "Expand no further"),
            ("closest", "Take the Closest", "Expand the view that comes closest to the range"),
        ),
        default="none",
    )
    traj_forward_ratio: bpy.props.FloatProperty(
        name="Forward",
        description="How far the spiral moves forward, times its radius",
        default=0.3,
        min=0.0,
        max=100.0,
        soft_max=1.0,
    )
    traj_backward_ratio: bpy.props.FloatProperty(
        name="Backward",
        description="How far the spiral moves back, times its radius",
        default=0.4,
        min=0.0,
        max=100.0,
        soft_max=1.0,
    )
    traj_min_percentage: bpy.props.FloatProperty(
        name="Lower Percentile",
        description="Lower percentile of the scene's extent that sets the spiral's radius",
        default=5.0,
        min=0.0,
        max=100.0,
    )
    traj_max_percentage: bpy.props.FloatProperty(
        name="Upper Percentile",
        description="Upper percentile of the scene's extent that sets the spiral's radius",
        default=50.0,
        min=0.0,
        max=100.0,
    )
    inpaint: bpy.props.EnumProperty(
        name="Inpainting",
        description="What makes up the parts that the picture does not show",
        items=_inpaint_items,
    )
    depth: bpy.props.EnumProperty(
        name="Depth", description="What estimates how far away everything is", items=_depth_items
    )
    raster: bpy.props.EnumProperty(name="Rasteriser", description="What draws splats", items=_raster_items)
    match_resolution: bpy.props.BoolProperty(
        name="Match Render Size",
        description="Render in the size of the working picture, so that the input camera shows exactly the picture",
        default=True,
    )

    job: bpy.props.StringProperty(
        name="Job", description="The service's name for the job", options={"HIDDEN"}
    )
    job_name: bpy.props.StringProperty(
        name="Job Name", description="What the job is called at the backend", options={"HIDDEN"}
    )
    delivered: bpy.props.BoolProperty(
        name="Delivered", description="The job's scene was imported", options={"HIDDEN"}
    )
    dismissed: bpy.props.BoolProperty(
        name="Dismissed",
        description="The job was stopped or its splats were deleted: they come back only when asked for",
        options={"HIDDEN"},
    )
    scene_id: bpy.props.StringProperty(
        name="Scene Id",
        description="By what jobs are found again that were sent before the file was saved",
        options={"HIDDEN"},
    )
    lens_job: bpy.props.StringProperty(
        name="Lens", description="The job whose lens the input camera was given", options={"HIDDEN"}
    )
    sent: bpy.props.StringProperty(
        name="Sent",
        description="What the job was given, as JSON: settings, engines, placement",
        options={"HIDDEN"},
    )
    backend: bpy.props.StringProperty(
        name="Backend", description="Where the job was sent", options={"HIDDEN"}
    )
    result: bpy.props.StringProperty(
        name="Result", description="The file with the job's scene", options={"HIDDEN"}
    )
    summary: bpy.props.StringProperty(
        name="Summary", description="What the expansion did, as JSON: text, data", options={"HIDDEN"}
    )
    scene_object: bpy.props.PointerProperty(
        type=bpy.types.Object, name="Scene", description="The splats that the job has made"
    )


CLASSES = (GenerateSettings,)

SETTINGS = (
    "stage",
    "expansion_percent",
    "n_frames",
    "max_resolution",
    "num_steps",
    "guidance",
    "prompt",
    "model_memory",
    "seed",
    "coarse_dense_multiplier",
    "coarse_margin",
    "coarse_min_inpaint_ratio",
    "coarse_max_inpaint_ratio",
    "coarse_adjacent_exclusion",
    "coarse_fallback_mode",
    "traj_forward_ratio",
    "traj_backward_ratio",
    "traj_min_percentage",
    "traj_max_percentage",
)
"""Properties that are sent as settings of the job under the same name."""

ENGINES = ("inpaint", "depth", "raster")
"""Properties that are sent as engines of the job."""

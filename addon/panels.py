"""What all panels of the sidebar have in common."""


class SidebarPanel:
    """Mix-in: a panel of the tab "Splinescape" in the sidebar (N) of the 3D viewport."""

    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "Splinescape"

"""Scenes modelled in Blender and rendered with Cycles, to judge depth engines by: nothing here is ever trained on.

Everything is made of numbers: modelled meshes (bevels, subdivision, skin, metaballs, lathes, lofts, leaf meshes) and
shader nodes; no outside assets. `catalogue.py` lists the scenes and their cameras and needs no Blender; `render.py` is
run by a Python that has bpy; one module per family of scenes holds the functions that build them.
"""

"""The network, which is the package's own: `splinescape/depth/network/model.py`, one source for training and use.

Loaded as one file, because where training runs only torch, numpy and pillow are installed, not the package.
"""

from __future__ import annotations

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

_NAME = "splinescape.depth.network.model"
_FILE = Path(__file__).parents[2] / "backend/splinescape/depth/network/model.py"


def _model() -> ModuleType:
    if _NAME not in sys.modules:
        spec = spec_from_file_location(_NAME, _FILE)
        assert spec is not None and spec.loader is not None
        module = sys.modules[_NAME] = module_from_spec(spec)
        spec.loader.exec_module(module)
    return sys.modules[_NAME]


if TYPE_CHECKING:
    from splinescape.depth.network.model import STRIDE as STRIDE
    from splinescape.depth.network.model import DepthNetwork as DepthNetwork
    from splinescape.depth.network.model import Prediction as Prediction
else:
    STRIDE, DepthNetwork, Prediction = _model().STRIDE, _model().DepthNetwork, _model().Prediction

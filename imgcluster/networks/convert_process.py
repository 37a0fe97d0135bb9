"""What the process runs that makes an OpenVINO model: Keras on OpenVINO, no TensorFlow."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING

from imgcluster.errors import ImgclusterError
from imgcluster.networks.catalog import find_network
from imgcluster.networks.recipe import Recipe

if TYPE_CHECKING:
    from imgcluster.records import JsonObject

MODEL_NAME = "model.xml"


def main(request: str) -> int:
    """Carry out a request in JSON; a foreseeable failure is the last line of stdout, and exit status 1."""
    try:
        _carry_out(json.loads(request))
    except ImgclusterError as error:
        sys.stdout.write(f"\n{error}\n")
        return 1
    return 0


def _carry_out(request: JsonObject) -> None:
    path = os.path.join(request["folder"], MODEL_NAME)
    if "quantise" in request:
        from imgcluster.networks.quantise import quantise

        quantise(request["quantise"], request["images"], path)
        return
    os.environ["KERAS_BACKEND"] = "openvino"
    recipe = Recipe(
        find_network(request["network"]), request["weights"], request["input_size"], request["pooling"]
    )
    recipe.build().export(path, format="openvino", verbose=False)

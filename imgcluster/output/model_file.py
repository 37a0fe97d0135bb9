"""The fitted model of a clustering as a file of arrays: never a pickle, and always the same bytes."""

from __future__ import annotations

import io
import os
import zipfile
import zlib

import numpy as np

from imgcluster.errors import ImgclusterError
from imgcluster.files import open_regular
from imgcluster.records import ClusterModel, Preparation

MODEL = "model.npz"
SCHEMA = 1
_JOINT = "joint"

# All that numpy and zipfile raise over a file that is not as they wrote it.
_DAMAGE = (
    OSError,
    ValueError,
    KeyError,
    TypeError,
    EOFError,
    AttributeError,
    RuntimeError,
    zipfile.BadZipFile,
    zlib.error,
)


def model_npz(model: ClusterModel) -> bytes:
    """Write `model` as an .npz file."""
    arrays: dict[str, np.ndarray] = {
        "schema": np.array(SCHEMA),
        "spaces": np.array(model.spaces, dtype=np.str_),
        "centroids": model.centroids,
    }
    for i, preparation in enumerate(model.preparations):
        arrays |= _arrays(preparation, str(i))
    if model.joint is not None:
        arrays |= _arrays(model.joint, _JOINT)
    buffer = io.BytesIO()
    # numpy's own writer gives the files of the archive no time either, but does not promise it.
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, array in arrays.items():
            data = io.BytesIO()
            np.lib.format.write_array(data, np.asarray(array, order="C"), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), data.getvalue())
    return buffer.getvalue()


def read_model(out: str) -> ClusterModel:
    """Read the model of the clustering in `out`.

    Raises
    ------
    ImgclusterError
        When there is none, a newer imgcluster wrote it, or it is damaged.
    """
    path = os.path.join(os.path.realpath(out), MODEL)
    try:
        with os.fdopen(open_regular(path), "rb") as file, np.load(file, allow_pickle=False) as arrays:
            if int(arrays["schema"]) > SCHEMA:
                raise ImgclusterError(f"{path} was written by a newer imgcluster: update imgcluster")
            spaces = tuple(str(name) for name in arrays["spaces"])
            preparations = tuple(_preparation(arrays, str(i)) for i in range(len(spaces)))
            joint = _preparation(arrays, _JOINT) if f"mean_{_JOINT}" in arrays else None
            return ClusterModel(spaces, preparations, np.asarray(arrays["centroids"], np.float32), joint)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ImgclusterError(f"no model in {out}: run `imgcluster cluster` first") from error
    except _DAMAGE as error:
        raise ImgclusterError(f"{path} is damaged ({error}): run `imgcluster cluster` again") from error


def _arrays(preparation: Preparation, which: str) -> dict[str, np.ndarray]:
    steps = [preparation.normalise, preparation.normalise_again, preparation.roots]
    return {
        f"steps_{which}": np.array(steps),
        f"mean_{which}": preparation.mean,
        f"components_{which}": preparation.components,
        f"scale_{which}": preparation.scale,
    }


def _preparation(arrays: np.lib.npyio.NpzFile, which: str) -> Preparation:
    normalise, again, roots = (bool(value) for value in arrays[f"steps_{which}"])
    mean, components, scale = (
        np.asarray(arrays[f"{name}_{which}"], np.float32) for name in ("mean", "components", "scale")
    )
    return Preparation(normalise, mean, components, scale, again, roots)

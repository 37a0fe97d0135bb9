"""The fitted model of a clustering as a file of arrays: never a pickle, and always the same bytes."""

from __future__ import annotations

import io
import os
import zipfile
import zlib

import numpy as np

from imgcluster.errors import ImgclusterError
from imgcluster.files import open_regular
from imgcluster.records import ClusterModel, FeatureTransform

MODEL = "model.npz"
SCHEMA = 2
_FUSION = "joint"
_FITTED = "fitted_"

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
        "algorithm": np.array(model.algorithm),
        "numbers": model.numbers,
    }
    for i, transform in enumerate(model.transforms):
        arrays |= _arrays(transform, str(i))
    if model.fusion is not None:
        arrays |= _arrays(model.fusion, _FUSION)
    arrays |= {f"{_FITTED}{name}": array for name, array in model.fitted.items()}
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
            _check_sizes(arrays.zip, os.fstat(file.fileno()).st_size)
            schema = int(arrays["schema"])
            if schema > SCHEMA:
                raise ImgclusterError(f"{path} was written by a newer imgcluster: update imgcluster")
            spaces = tuple(str(name) for name in arrays["spaces"])
            centroids = np.asarray(arrays["centroids"], np.float32)
            fitted = {name.removeprefix(_FITTED): arrays[name] for name in arrays if name.startswith(_FITTED)}
            return ClusterModel(
                spaces,
                tuple(_transform(arrays, str(i)) for i in range(len(spaces))),
                centroids,
                _transform(arrays, _FUSION) if f"mean_{_FUSION}" in arrays else None,
                # Files of schema 1 are all of k-means, its centroids in the order of the clusters.
                str(arrays["algorithm"]) if schema > 1 else "kmeans",
                fitted if schema > 1 else {"centroids": centroids},
                np.asarray(arrays["numbers"], np.int32)
                if schema > 1
                else np.arange(len(centroids), dtype="i4"),
            )
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ImgclusterError(f"no model in {out}: run `imgcluster cluster` first") from error
    except _DAMAGE as error:
        raise ImgclusterError(f"{path} is damaged ({error}): run `imgcluster cluster` again") from error


def _check_sizes(archive: zipfile.ZipFile | None, most: int) -> None:
    """Raise BadZipFile where arrays would be larger in memory than in the file: ours are not compressed."""
    members = [] if archive is None else archive.infolist()
    if any(member.compress_type for member in members) or sum(m.file_size for m in members) > most:
        raise zipfile.BadZipFile("arrays that are not as imgcluster writes them")


def _arrays(transform: FeatureTransform, which: str) -> dict[str, np.ndarray]:
    steps = [transform.normalise, transform.l2_after, transform.roots]
    return {
        f"steps_{which}": np.array(steps),
        f"mean_{which}": transform.mean,
        f"components_{which}": transform.components,
        f"scale_{which}": transform.scale,
    }


def _transform(arrays: np.lib.npyio.NpzFile, which: str) -> FeatureTransform:
    normalise, l2_after, roots = (bool(value) for value in arrays[f"steps_{which}"])
    mean, components, scale = (
        np.asarray(arrays[f"{name}_{which}"], np.float32) for name in ("mean", "components", "scale")
    )
    return FeatureTransform(normalise, mean, components, scale, l2_after, roots)

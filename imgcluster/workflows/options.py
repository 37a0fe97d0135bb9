"""The options of every command, each said once: its type, default, range and help."""

import math
import os
from dataclasses import MISSING, replace
from typing import Literal

from imgcluster.engines.protocol import EngineSettings
from imgcluster.errors import UsageError
from imgcluster.machine import default_memory
from imgcluster.networks import POOLINGS, PRECISIONS, RUNTIMES
from imgcluster.options import Option, Options, flag, option
from imgcluster.typed import DEFAULT_CLUSTERS, DEFAULT_STORE, refuse_link_out
from imgcluster.workflows.shard import Shard

FOLDERS = "folders"
"""Labels: the class of an image is the name of its folder; ``folders:1`` that of one further up."""

SAME_PICTURE, LOOK_ALIKE = 0.4, 0.9
"""Cosines. Copies of half the size and quality 70 have 0.85 to 0.99, quarter turns 0.5 to 0.8: pixels decide.
Of pairs of different photographs of one kind of scene, one in ten thousand looks alike."""


def _number_or_auto(text: str) -> int | None:
    """Parse a number from 1 on, or ``auto``: None."""
    if text == "auto":
        return None
    try:
        k = int(text)
    except ValueError:
        k = 0
    if k < 1:
        raise ValueError(f"{text} is neither a number from 1 on nor auto")
    return k


def _numbers(text: str) -> tuple[int, ...]:
    """Parse ``2:12`` (both ends count) or ``2,5,8``."""
    try:
        if ":" in text:
            first, last = (int(part) for part in text.split(":"))
            numbers = tuple(range(first, last + 1))
        else:
            numbers = tuple(sorted({int(part) for part in text.split(",")}))
    except ValueError:
        numbers = ()
    if not numbers or numbers[0] < 1:
        raise ValueError(f"{text} is not a range of numbers from 1 on: write 2:12 or 2,5,8")
    return numbers


def _names(text: str) -> tuple[str, ...]:
    """Parse names with commas between them."""
    return tuple(name for part in text.split(",") if (name := part.strip()))


def _bytes(text: str) -> int:
    """Parse ``2GB``, ``512MB`` or a plain number of bytes."""
    number, scale = text.strip().upper(), 1
    for unit, factor in (("GB", 10**9), ("MB", 10**6), ("KB", 10**3), ("B", 1)):
        if number.endswith(unit):
            number, scale = number.removesuffix(unit), factor
            break
    try:
        value = int(float(number) * scale)
    except (ValueError, OverflowError):  # `inf` overflows
        value = 0
    if value < 1:
        raise ValueError(f"{text} is not an amount of memory: write for example 2GB")
    return value


# What several commands share.
_STORE = Option("The feature store.", metavar="FILE")
_STORES = replace(_STORE, help="The feature store, or a set of them: 'shards/*.h5'.")
_STORE_OF_CLUSTERS = replace(_STORES, unset="that of the clustering")
_PARTIAL = Option("Read a set of stores whose names say that some are missing.", recorded=False)
_CLUSTERS = Option("The folder that `cluster` made.", metavar="DIR")
_TRUST = Option(
    "Take over a clustering that no run of yours is known to have made, such as one of a backup, whose "
    "images came from DIR: only there and below DIR is written then. Again for more.",
    metavar="DIR",
    recorded=False,
)
_THREADS = Option(
    "Threads that decode and compute.",
    least=1,
    most=1024,
    unset="as many as there are cores to use",
    recorded=False,
)
_NO_LOCK = Option("For file systems without locks.", recorded=False)
_WAIT = Option(
    "Seconds to wait for another run that writes the store.", metavar="SECONDS", least=0, recorded=False
)
_WAIT_FOR_BOTH = replace(
    _WAIT,
    help="Seconds to wait for another run that writes the store or beside the output folder.",
    unset="0 for the store; for the folder as long as it takes",
)
_LABELS = Option(
    "`folders`: each image's class is its folder's name; `folders:1`: that of the first level below the "
    "folder that all images share, and so on; or a CSV file with columns path,label."
)
_PRECISION = Option("What the network computes in.", choices=PRECISIONS)
_RUNTIME = Option("What runs the network.", choices=RUNTIMES)
_WEIGHTS = Option(
    "imagenet, random, or a Keras no-top weights file.",
    metavar="TEXT",
    parse=os.path.expanduser,  # no shell does it after `--weights=`
)


class EngineOptions(Options):
    """What all share whose work can be spread over machines."""

    engine: str = option("What spreads the work.", "local", choices=("local", "ray"), recorded=False)
    ray_address: str | None = option(
        "A running Ray cluster.",
        metavar="HOST:PORT",
        recorded=False,
        unset="one is started, for this run alone",
    )
    workers: int | None = option(
        "How many processes Ray runs.", least=1, recorded=False, unset="as many as there are CPUs"
    )
    cpus_per_worker: int = option("CPUs that each of them has to itself.", 1, least=1, recorded=False)
    gpus_per_worker: float = option(
        "GPUs that each of them has to itself; 0.5: two share one.", 0.0, least=0, recorded=False
    )

    def _check(self) -> None:
        super()._check()
        settings = self.engine_settings
        if self.engine != "ray" and settings != EngineSettings():
            raise UsageError(
                "--ray-address, --workers, --cpus-per-worker and --gpus-per-worker need --engine ray"
            )

    @property
    def engine_settings(self) -> EngineSettings:
        """What is said about the engine."""
        return EngineSettings(self.ray_address, self.workers, self.cpus_per_worker, self.gpus_per_worker)


class ExtractOptions(EngineOptions):
    """The options of `extract`."""

    store: str | None = option(
        replace(_STORE, unset=f"{DEFAULT_STORE}, of a shard such as 3/16 features-3-of-16.h5")
    )
    shard: str | None = option(
        "Take only these of the images: of 16 equal parts the third, told apart by their paths.",
        metavar="I/N",
        parse=lambda text: str(Shard.parse(text)),
        unset="all",
    )
    network: str | None = option(
        "A name that `imgcluster networks` lists.",
        metavar="NETWORK",
        unset="the only one in the store, else inception_v3",
    )
    weights: str | None = option(
        replace(_WEIGHTS, unset="imagenet, or as the environment variable IMGCLUSTER_WEIGHTS says")
    )
    pooling: str | None = option(
        "How the last feature map becomes a vector: by its mean, its maximum, or all of it.",
        choices=POOLINGS,
        unset="avg, or as in the store",
    )
    input_size: int | None = option(
        "Side of the square that images are resized to.",
        least=32,
        most=4096,
        unset="the network's, or as in the store",
    )
    dtype: str = option(
        "How a new feature space keeps embeddings: float16 takes half the space.",
        "float32",
        choices=("float32", "float16"),
    )
    precision: str = option(_PRECISION, "auto")
    runtime: str = option(_RUNTIME, "auto")
    batch_size: int | None = option(
        "Images per call of the network: fewer take less memory.", least=1, most=4096, unset="by the machine"
    )
    retry_failed: bool = flag("Try failed files again even if they did not change.")
    accept_truncated: bool = flag("Accept JPEGs that are cut short; the missing part is filled in.")
    follow_links: bool = flag("Follow links out of the folders.")
    exclude: tuple[str, ...] = option(
        "Leave out files and folders of this name or path, as in a .gitignore file. Again for more.",
        (),
        metavar="PATTERN",
    )
    any_name: bool = flag("Look at the content of files that are not named like images, too.")
    max_pixels: int | None = option("Refuse images of more pixels.", least=1, unset="500 million")
    timeout: float = option("Seconds to read and decode one file.", 60.0, least=0.1)
    failures: str | None = option("Write the failed files as CSV.", metavar="FILE")
    wait: float = option(_WAIT, 0.0)
    threads: int | None = option(_THREADS)
    no_lock: bool = flag(_NO_LOCK)

    @property
    def store_path(self) -> str:
        """The store to write."""
        if self.store is None:
            refuse_link_out(self.part.store if self.shard else DEFAULT_STORE)
        return self.store or (self.part.store if self.shard else DEFAULT_STORE)

    @property
    def part(self) -> Shard:
        """Which of the images are meant."""
        return Shard.parse(self.shard or "1/1")


class PrepareOptions(Options):
    """What all share that fit clusters: from which store, how embeddings are prepared, how k-means runs."""

    store: str = option(_STORE, DEFAULT_STORE)
    prepare: str = option(
        "How embeddings are prepared; l2: unit length only, none: as they come.",
        "auto",
        choices=("auto", "l2", "none"),
    )
    pca: int | None = option(
        "Principal components of each space to keep; with l2 and none it adds that step.",
        least=1,
        unset="by the data",
    )
    whiten: float | None = option(
        "Power of the standard deviation that each component is divided by: 0 not at all, 1 fully.",
        least=0,
        most=1,
        unset="0.5 with --prepare auto, else 0",
    )
    restarts: int | None = option(
        "How often k-means starts anew, its centroids not being exchanged then.",
        least=1,
        unset="by the number of images",
    )
    memory: int | None = option(
        "Most memory for embeddings: 2GB, 512MB or a number of bytes.",
        default_memory,
        metavar="SIZE",
        parse=_bytes,
        least=1,
        unset="a quarter of the machine's",
    )
    threads: int | None = option(_THREADS)
    no_lock: bool = flag(_NO_LOCK)

    def _check(self) -> None:
        super()._check()
        if self.whiten and self.pca is None and self.prepare != "auto":
            raise UsageError(f"--whiten needs --pca where --prepare is {self.prepare}: it scales components")


class FitOptions(PrepareOptions):
    """What `cluster` and `sweep` share beyond that: which feature spaces, and where images were moved to."""

    store: str = option(_STORES, DEFAULT_STORE)
    partial: bool = flag(_PARTIAL)
    clusters: str | None = option(
        "The folder of an earlier `cluster --mode move`, where images lie now.", metavar="DIR"
    )
    network: tuple[str, ...] = option(
        "The feature space of this network, or one by its full name; again to join several.",
        (),
        metavar="NETWORK",
    )
    space: str | None = option("A feature space by its full name.", unset="the only one")
    algorithm: str = option(
        "How clusters are found: kmeans-or-mixture, minibatch-kmeans, kmeans, agglomerative, "
        "agglomerative-average, levels or hdbscan (which does not look at k).",
        "kmeans-or-mixture",
        metavar="NAME",
    )
    seed: int = option(
        "Start of all random numbers; kmeans-or-mixture begins alike for all, unless --restarts is given.",
        0,
        least=0,
    )

    def _check(self) -> None:
        super()._check()
        if self.space is not None and len(self.network) > 1:
            raise UsageError(
                "--space names one feature space, several --network join several: choose one way "
                "(--network takes the full name of a feature space, too)"
            )
        for network in self.network:
            if self.network.count(network) > 1:
                raise UsageError(f"--network {network} was given twice: joined with itself, it adds nothing")


class ClusterOptions(FitOptions, EngineOptions):
    """The options of `cluster`; `k` None stands for ``auto``, `out` None for no folder."""

    k: int | None = option(
        "Number of clusters, or auto.", 2, short="-k", metavar="N|auto", parse=_number_or_auto, least=1
    )
    out: str | None = option("The folder to make.", DEFAULT_CLUSTERS, metavar="DIR", recorded=False)
    mode: str = option(
        "How files come into the folders; table: not at all. auto: links, and of over a million images "
        "a table.",
        "auto",
        choices=("auto", "hardlink", "symlink", "copy", "move", "table"),
    )
    leave_out: float | Literal["auto"] | None = option(
        "Put into unsorted/ what fits nowhere: auto, or a share of the images such as 0.05.",
        least=0,
        most=0.5,
        unset="nothing",
    )
    dry_run: bool = flag("Only tell what would be made; write nothing.", recorded=False)
    force: bool = flag("Replace the folder even if files of yours lie in it; those are kept.", recorded=False)
    wait: float | None = option(_WAIT_FOR_BOTH)
    edits: str | None = option(
        "A CSV file of corrections with the columns key or path, and cluster: a name, or `not NAME`. "
        "Images stay where it puts them.",
        metavar="FILE",
    )
    examples: str | None = option(
        "A folder of folders: each names a cluster and shows where it starts; the rest of k is found.",
        metavar="DIR",
    )
    only_examples: bool = flag("Sort into the clusters of --examples alone.")
    renumber: bool = flag(
        "Number clusters by their size, not as those that the folder held before; names stay.", recorded=False
    )
    trust: tuple[str, ...] = option(_TRUST, ())

    @property
    def only_looks(self) -> bool:
        """Whether a foreign folder is looked at as if it had been taken over, which it is not."""
        return self.dry_run and bool(self.trust)

    @property
    def wait_for_folder(self) -> float:
        """Seconds to wait for another process that writes in the output folder's place."""
        return math.inf if self.wait is None else self.wait

    def _check(self) -> None:
        super()._check()
        if self.only_examples and self.examples is None:
            raise UsageError("--only-examples sorts into the clusters of --examples DIR: name that folder")


class SweepOptions(FitOptions):
    """The options of `sweep`."""

    k: tuple[int, ...] = option(
        "Numbers of clusters: 2:12 or 2,5,8.",
        tuple(range(2, 13)),
        short="-k",
        metavar="RANGE",
        parse=_numbers,
        least=1,
        unset="2:12",
    )
    plot: str | None = option("Draw the measures as PNG or SVG.", metavar="FILE")
    report: bool = flag("Write a page with a slider over k: the groups, how they split, the measures.")
    out: str = option("The folder of --report.", "sweep-report", metavar="DIR")


class EvaluateOptions(Options):
    """The options of `evaluate`."""

    labels: str = option(_LABELS, FOLDERS)
    clusters: str = option(_CLUSTERS, DEFAULT_CLUSTERS)


class CompareOptions(PrepareOptions):
    """The options of `compare`; by default they make the published table."""

    k: int = option("Number of clusters.", 2, short="-k", least=1)
    labels: str = option(_LABELS, FOLDERS)
    networks: tuple[str, ...] = option(
        "Names with commas between; a+b joins two side by side.",
        ("vgg16", "vgg19", "inception_v3", "resnet152"),
        metavar="NAMES",
        parse=_names,
    )
    algorithms: tuple[str, ...] = option(
        "Names with commas between.", ("kmeans", "minibatch-kmeans"), metavar="NAMES", parse=_names
    )
    seeds: int = option("How many seeds, from 0 on; the table gives means over them.", 5, least=1)
    weights_dir: str | None = option(
        "Weights under the names that Keras publishes; missing ones are fetched.", metavar="DIR"
    )

    def _check(self) -> None:
        super()._check()
        if not self.networks or not self.algorithms:
            raise UsageError("--networks and --algorithms need at least one name each")


class AssignOptions(Options):
    """The options of `assign`; all else is as the clustering was made."""

    clusters: str = option(_CLUSTERS, DEFAULT_CLUSTERS)
    store: str | None = option(_STORE_OF_CLUSTERS)
    partial: bool = flag(_PARTIAL)
    write_store: str | None = option(
        "The store that keeps the embeddings of new images.", metavar="FILE", unset="--store, but for a set"
    )
    weights: str | None = option(replace(_WEIGHTS, unset="what the clustering's embeddings were made with"))
    precision: str = option(_PRECISION, "auto")
    runtime: str = option(_RUNTIME, "auto")
    out: str | None = option(
        "Write a CSV file with the columns path,key,cluster,distance.", short="-o", metavar="FILE"
    )
    threads: int | None = option(_THREADS)
    place: bool = flag("Put them into the folders, in the clustering's mode; `undo` takes that back.")
    no_lock: bool = flag(_NO_LOCK)


class ReportOptions(Options):
    """The options of `report`."""

    clusters: str = option(_CLUSTERS, DEFAULT_CLUSTERS)
    store: str | None = option(_STORE_OF_CLUSTERS)
    labels: str | None = option(replace(_LABELS, help=f"{_LABELS.help} Marks the wrong images."))
    trust: tuple[str, ...] = option(_TRUST, ())
    threads: int | None = option(_THREADS)
    no_lock: bool = flag(_NO_LOCK)


class ContactSheetOptions(Options):
    """The options of `contact-sheet`."""

    cluster: str = option("The number or the name of the cluster.", MISSING, metavar="CLUSTER")
    out: str = option("The picture: .png or .jpg.", MISSING, short="-o", metavar="FILE")
    clusters: str = option(_CLUSTERS, DEFAULT_CLUSTERS)
    count: int = option("How many images, the nearest to the centre first.", 48, least=1)
    columns: int = option("Images per row.", 8, least=1)


class CorrectOptions(Options):
    """The options of `correct`."""

    clusters: str = option(_CLUSTERS, DEFAULT_CLUSTERS)
    out: str = option("The file of edits to write, or to add to.", "edits.csv", short="-o", metavar="FILE")


class PickOptions(Options):
    """The options of `pick`."""

    n: int = option("How many images.", 200, least=1)
    how: str = option(
        "central: nearest to the centres of clusters; diverse: far from each other; borderline: between two "
        "clusters; odd: farthest from the centres.",
        "central",
        choices=("central", "diverse", "borderline", "odd"),
    )
    per_cluster: bool = flag("So many of each cluster.")
    out: str | None = option(
        "Make a folder of them: links or, where there are none, copies.", short="-o", metavar="DIR"
    )
    clusters: str = option(_CLUSTERS, DEFAULT_CLUSTERS)
    store: str | None = option(_STORE_OF_CLUSTERS)
    no_lock: bool = flag(_NO_LOCK)


class NameOptions(Options):
    """The options of `name` and `merge`."""

    clusters: str = option(_CLUSTERS, DEFAULT_CLUSTERS)


class UndoOptions(Options):
    """The options of `undo`."""

    clusters: str = option(_CLUSTERS, DEFAULT_CLUSTERS)
    all: bool = flag("Not one step back: take all away.")
    force: bool = flag(
        "Move images back even if their files were replaced since; give up what was moved by hand."
    )
    trust: tuple[str, ...] = option(_TRUST, ())
    dry_run: bool = flag("Only tell what would go; change nothing.")


class StoreOptions(Options):
    """The options of `store repair`."""

    store: str = option(_STORE, DEFAULT_STORE)
    no_lock: bool = flag(_NO_LOCK)


class ReadStoreOptions(StoreOptions):
    """The options of `store info` and `store verify`."""

    store: str = option(_STORES, DEFAULT_STORE)
    partial: bool = flag(_PARTIAL)


class CacheOptions(Options):
    """The options of `store cache`."""

    clear: bool = flag("Remove it; what is needed is made again.")


class SpaceOptions(ReadStoreOptions):
    """Which feature space of which store."""

    network: str | None = option(
        "The feature space of this network.", metavar="NETWORK", unset="the only one"
    )
    space: str | None = option("A feature space by its full name.", unset="the only one")


class SimilarOptions(SpaceOptions):
    """The options of `similar`; images that were moved are found through `clusters`."""

    top: int = option("How many images.", 20, least=1)
    clusters: str = option(_CLUSTERS, DEFAULT_CLUSTERS)


class DuplicatesOptions(SpaceOptions):
    """The options of `duplicates`; images that were moved are found through `clusters`."""

    threshold: float = option(
        "Smallest cosine of two copies; their pixels decide.", SAME_PICTURE, least=0.01, most=1
    )
    prefer: tuple[str, ...] = option(
        "Rather keep what lies in this folder; again for more, the first before the others.",
        (),
        metavar="DIR",
    )
    plan: str | None = option("Write which copies to keep as CSV; nothing is deleted.", metavar="FILE")
    report: bool = flag("Write pages that show each group side by side.")
    out: str = option("The folder of --report.", "duplicates-report", metavar="DIR")
    apply: str | None = option(
        "Carry out a plan, as it was written or as you changed it: move what could go to --trash.",
        metavar="FILE",
    )
    trash: str | None = option(
        "The new folder of --apply; `undo --clusters DIR` moves all back.", metavar="DIR"
    )
    decisions: str | None = option(
        "A CSV file with the columns key_a,key_b: pairs of images, by their keys, that are not duplicates.",
        metavar="FILE",
    )
    clusters: str = option(_CLUSTERS, DEFAULT_CLUSTERS)
    threads: int | None = option(_THREADS)

    def _check(self) -> None:
        super()._check()
        if (self.apply is None) != (self.trash is None):
            raise UsageError("--apply and --trash go together: a plan, and a new folder for what could go")
        if self.apply is not None and self.plan is not None:
            raise UsageError("--plan writes a plan and --apply carries one out: do one after the other")


class InventoryOptions(ReadStoreOptions):
    """The options of `inventory`; images that were moved are found through `clusters`."""

    out: str | None = option("Write the table as CSV.", short="-o", metavar="FILE")
    clusters: str = option(_CLUSTERS, DEFAULT_CLUSTERS)


class PruneOptions(StoreOptions):
    """The options of `store prune`."""

    clusters: tuple[str, ...] = option(
        "A folder that `cluster --mode move` put images into, where it lies neither here nor beside "
        "store or images; again for more.",
        (),
        metavar="DIR",
    )
    force: bool = flag("Proceed even if nothing is left of a scanned folder, or most rows would go.")
    dry_run: bool = flag("Only tell what would be forgotten; change nothing.")


class MergeOptions(Options):
    """The options of `store merge`."""

    out: str = option("The new store.", MISSING, short="-o", metavar="FILE")
    no_lock: bool = flag(_NO_LOCK)


class ExportOptions(SpaceOptions):
    """The options of `store export`."""

    out: str = option("Where to write it.", MISSING, short="-o", metavar="FILE")
    format: str = option("What to write.", "npz", choices=("npz", "tensorboard"))

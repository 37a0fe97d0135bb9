"""Measure this machine: one table, everything in one run, each measurement in a process of its own.

python -m tests.benchmarks.bench [--quick] [--only PART …] [--images FOLDER] [--json FILE] [--plot FILE]

Absolute figures move from machine to machine, and with what else runs on it: compare the ratios.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

from imgcluster.networks.recipe import has_native_bfloat16
from tests.benchmarks import bench_images

ROOT = Path(__file__).parents[2]
CORES = len(os.sched_getaffinity(0))
BFLOAT16 = ("bfloat16",) if has_native_bfloat16() else ()
SETTINGS = [("tensorflow", precision) for precision in ("float32", *BFLOAT16)] + [
    ("openvino", precision) for precision in ("float32", *BFLOAT16, "int8")
]
FLAGS = {"avx2", "avx512f", "avx512_bf16", "avx512_vnni", "avx_vnni", "amx_bf16", "amx_int8"}


@dataclass(frozen=True)
class Row:
    """One line of the table; `ratio` is that of `value` to what `of` says."""

    part: str
    what: str
    value: float
    unit: str
    ratio: float | None = None
    of: str = ""

    def __str__(self) -> str:
        ratio = "" if self.ratio is None else f"{self.ratio:7.2f} of {self.of}"
        return f"{self.what:<58}{self.value:10.2f} {self.unit:<12}{ratio}"


class Bench:
    """The run: where its images are, how many, and the rows so far."""

    def __init__(self, folder: Path, options: argparse.Namespace) -> None:
        self.folder = folder
        self.rows: list[Row] = []
        self.count = 200 if options.quick else 1000
        self.few = self.count // 5
        self.rounds = 1 if options.quick else 2
        self.small_files = 10_000 if options.quick else 100_000
        self.weights = _weights()
        self.images = bench_images.photographs(folder / "photographs", self.count, options.images)

    def add(
        self, part: str, what: str, value: float, unit: str, against: tuple[float, str] | None = None
    ) -> None:
        """Print a row and keep it."""
        ratio, of = (value / against[0], against[1]) if against else (None, "")
        self.rows.append(Row(part, what, value, unit, ratio, of))
        print(self.rows[-1], flush=True)

    def measure(self, name: str, **arguments: object) -> dict[str, float]:
        """Run one of `measurements` in a process; its figures, with the peak of its memory in MB."""
        arguments = {"folder": str(self.images)} | arguments
        return _run([sys.executable, "-m", "tests.benchmarks.measurements", name, json.dumps(arguments)])

    def best(self, *measurements: tuple[str, dict[str, object]]) -> list[dict[str, float]]:
        """Run measurements in turn, several times; of each the time with the highest speed."""
        figures = [
            [self.measure(name, **arguments) for name, arguments in measurements] for _ in range(self.rounds)
        ]
        return [max(turns, key=lambda turn: turn["images_per_s"]) for turns in zip(*figures, strict=True)]


def inception(bench: Bench) -> None:
    """InceptionV3 in every runtime and precision, alone and whole, against the published method."""
    reading = bench.measure("reading", count=bench.few, size=299)["core_ms"]
    bench.add("inception", "reading, hashing, decoding, resizing", reading, "core-ms")
    for runtime, precision in SETTINGS:
        options = {"weights": bench.weights, "runtime": runtime, "precision": precision}
        _prepare(bench, options)
        alone, whole, published = bench.best(
            ("network", options | {"count": bench.few}),
            ("whole", options | {"count": bench.count}),
            ("published", {"count": bench.few, "weights": bench.weights}),
        )
        name = f"InceptionV3, {runtime}, {precision}"
        bound = 1 / (1 / alone["images_per_s"] + reading / 1000 / CORES)
        bench.add("inception", "the published method, 224 pixels", published["images_per_s"], "images/s")
        bench.add("inception", f"{name}: network alone", alone["images_per_s"], "images/s")
        bench.add(
            "inception", f"{name}: whole extract", whole["images_per_s"], "images/s", (bound, "the bound")
        )
        for against, label in ((alone, "the network alone"), (published, "the published method")):
            ratio = (against["images_per_s"], label)
            bench.add("inception", f"{name}: whole extract", whole["images_per_s"], "images/s", ratio)
        bench.add("inception", f"{name}: processor time of the network", alone["core_ms"], "core-ms")
        bench.add("inception", f"{name}: processor time of the whole", whole["core_ms"], "core-ms")
        bench.add("inception", f"{name}: from the start to the first batch", whole["first_batch_s"], "s")


def efficientnet(bench: Bench) -> None:
    """The networks whose weights come in packages, against the published method."""
    for network in ("efficientnet_lite0", "efficientnet_lite2"):
        options: dict[str, object] = {"network": network, "count": bench.count}
        _prepare(bench, options)
        whole, published = bench.best(
            ("whole", options), ("published", {"count": bench.few, "weights": bench.weights})
        )
        ratio = (published["images_per_s"], "the published method")
        bench.add("efficientnet", f"{network}: whole extract", whole["images_per_s"], "images/s", ratio)


def large(bench: Bench) -> None:
    """JPEGs of 12 megapixels with and without the decoder's reduced scales."""
    folder = bench_images.large_photographs(bench.folder / "large", bench.few, bench.images)
    arguments: dict[str, object] = {"folder": str(folder), "count": bench.few}
    one = bench.measure("decoding", **arguments | {"count": 10}, size=299)
    bench.add("large", "12 megapixels, decode in full and resize", one["full"], "core-ms")
    ratio = (one["full"], "full decoding")
    bench.add("large", "12 megapixels, decode reduced and resize", one["reduced"], "core-ms", ratio)
    arguments["weights"] = bench.weights
    full, reduced = bench.best(("whole", arguments | {"full_decoding": True}), ("whole", arguments))
    bench.add("large", "12 megapixels, whole extract, full decoding", full["images_per_s"], "images/s")
    ratio = (full["images_per_s"], "full decoding")
    bench.add("large", "12 megapixels, whole extract", reduced["images_per_s"], "images/s", ratio)


def unchanged(bench: Bench) -> None:
    """A second run over very many files, and every command's start."""
    folder = bench_images.small_files(bench.folder / "small", bench.small_files)
    store = ["--store", str(bench.folder / "small.h5")]
    extract = ["extract", str(folder), *store, "--network", "efficientnet_lite0", "--weights", "random"]
    cluster = ["cluster", *store, "--k", "8", "--force", "--out", str(bench.folder / "clusters")]
    _command(extract)
    files = f"{bench.small_files:,} files"
    bench.add("unchanged", f"extract, {files}, nothing new", _quickest(extract), "s")
    bench.add("unchanged", f"cluster, {files}, folders of hard links", _quickest(cluster, 1), "s")
    for command in (["--help"], ["networks"], ["cluster", "--help"], ["extract", "--help"]):
        bench.add("unchanged", f"imgcluster {' '.join(command)}", _quickest(command, 5), "s")


def memory(bench: Bench) -> None:
    """The peak of memory for few and for ten times as many images, and of making the model before that."""
    peaks = {}
    settings = {
        runtime: {"weights": bench.weights, "runtime": runtime} for runtime in ("tensorflow", "openvino")
    }
    for runtime, options in settings.items():
        first = bench.measure("first_start", **options)
        bench.add("memory", f"{runtime}: start, the model made first", first["loading_s"], "s")
        bench.add("memory", f"{runtime}: peak memory of making the model", first["peak_mb"], "MB")
        _prepare(bench, options)
        again = bench.measure("network", **options | {"count": 1})
        bench.add("memory", f"{runtime}: start, the model there", again["loading_s"], "s")
    for count in (bench.count, 10 * bench.count):
        folder = bench_images.photographs(bench.folder / f"memory-{count}", count, bench.images)
        for runtime, options in settings.items():
            whole = bench.measure("whole", folder=str(folder), count=count, **options)
            before = peaks.setdefault(runtime, whole["peak_mb"])
            ratio = (before, f"that for {bench.count:,}")
            bench.add("memory", f"{runtime}: peak memory, {count:,} images", whole["peak_mb"], "MB", ratio)


def scale(bench: Bench) -> None:
    """A set of stores against one store, and Ray against processes of this machine: `scale` says how."""
    module = [sys.executable, "-m", "tests.benchmarks.scale", "--rows"]
    rows = bench.small_files
    few = _run([*module, str(rows // 10)])
    many = _run([*module, str(rows), "--ray", str(bench.images)])
    one = (many["one_seconds"], "that of one store")
    bench.add("scale", f"cluster, {rows:,} rows in one store", many["one_seconds"], "core-s")
    bench.add("scale", f"cluster, {rows:,} rows in 8 stores", many["set_seconds"], "core-s", one)
    bench.add("scale", f"one pass of Lloyd's, k = 1,000, {rows:,} rows", many["pass_us"], "core-us/row")
    before = (few["one_mb"], f"that for {rows // 10:,}")
    bench.add("scale", f"cluster, {rows:,} rows: peak memory", many["one_mb"], "MB", before)
    local = (many["local_ms"], "the two processes")
    bench.add("scale", "extract, two processes of a core, two shards", many["local_ms"], "core-ms")
    bench.add("scale", "extract, two Ray workers of a core", many["ray_ms"], "core-ms", local)
    bench.add("scale", "extract, one Ray worker of a core", many["one_ray_ms"], "core-ms", local)
    bench.add("scale", "extract, two Ray workers: the start", many["ray_start_s"], "core-s")
    copies = _run([sys.executable, "-m", "tests.benchmarks.duplicates_scale", "--rows", str(rows)])
    for step in ("similar", "look_alikes", "same_pictures"):
        name = f"{step.replace('_', ' ')}, {rows:,} images, a fifth alike"
        bench.add("scale", name, copies[f"{step}_seconds"], "core-s")
    bench.add("scale", "duplicates: peak memory", copies["same_pictures_mb"], "MB")


PARTS = {part.__name__: part for part in (inception, efficientnet, large, unchanged, memory, scale)}


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="a fifth of the images, each measured once")
    parser.add_argument("--only", nargs="*", choices=PARTS, default=list(PARTS))
    parser.add_argument("--images", type=Path, default=_photographs_at_hand(), help="a folder of photographs")
    parser.add_argument("--json", type=Path, help="write the figures")
    parser.add_argument("--plot", type=Path, help="draw the speeds (PNG or SVG)")
    options = parser.parse_args()
    machine = _machine()
    print("\n".join(f"{name}: {value}" for name, value in machine.items()))
    with tempfile.TemporaryDirectory(prefix="imgcluster-bench-") as folder:
        bench = Bench(Path(folder), options)
        print(f"photographs: {options.images or 'made'}; weights: {bench.weights}\n")
        for part in options.only:
            PARTS[part](bench)
    machine["load at the end"] = _load()
    print(f"\nload at the end: {machine['load at the end']}")
    if options.json:
        result = {"machine": machine, "rows": [asdict(row) for row in bench.rows]}
        options.json.write_text(json.dumps(result, indent=1) + "\n")
    if options.plot:
        _plot(bench.rows, machine, options.plot)


def _prepare(bench: Bench, options: dict[str, object]) -> None:
    """Convert and quantise beforehand what is made once."""
    bench.measure("network", **options | {"count": 1})


def _run(command: list[str]) -> dict[str, float]:
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    return json.loads(output.splitlines()[-1]) | {"peak_mb": usage.ru_maxrss / 1024}


def _command(arguments: list[str]) -> float:
    started = time.perf_counter()
    command = [sys.executable, "-m", "imgcluster", *arguments]
    subprocess.run(command, cwd=ROOT, check=True, stdin=subprocess.DEVNULL, capture_output=True)
    return time.perf_counter() - started


def _quickest(arguments: list[str], times: int = 3) -> float:
    return min(_command(arguments) for _ in range(times))


def _assets() -> Path:
    return Path(os.environ.get("IMGCLUSTER_TEST_ASSETS", ROOT.parent / "shared"))


def _photographs_at_hand() -> Path | None:
    folder = _assets() / "images" / "cats_dogs"
    return folder if folder.is_dir() else None


def _weights() -> str:
    """InceptionV3's weights if they are at hand; random ones are as quick."""
    found = sorted((_assets() / "weights").glob("inception_v3*notop.h5"))
    return str(found[0]) if found else "random"


def _load() -> str:
    return " ".join(f"{load:.1f}" for load in os.getloadavg())


def _machine() -> dict[str, str]:
    """What the figures depend on."""
    lines = Path("/proc/cpuinfo").read_text(errors="replace").splitlines()
    facts = dict(line.split("\t: ", 1) for line in lines if "\t: " in line)
    facts = {name.strip(): value for name, value in facts.items()}
    libraries = ("tensorflow", "keras", "openvino", "nncf", "opencv-python")
    return {
        "processor": facts.get("model name", platform.processor()),
        "cores": str(CORES),
        "flags": " ".join(sorted(FLAGS & set(facts.get("flags", "").split()))),
        "versions": ", ".join(f"{name} {version(name)}" for name in libraries),
        "load at the start": _load(),
    }


def _plot(rows: list[Row], machine: dict[str, str], path: Path) -> None:
    from matplotlib.figure import Figure

    speeds = {
        row.what: row.value for row in rows if row.unit == "images/s" and "network alone" not in row.what
    }
    figure = Figure(figsize=(9, 1 + 0.3 * len(speeds)), layout="constrained")
    axes = figure.subplots()
    bars = axes.barh(list(speeds), list(speeds.values()), color="#3b75af")
    axes.bar_label(bars, fmt="%.0f", padding=3)
    axes.invert_yaxis()
    axes.set_xlabel(f"images/s on {machine['cores']} cores of {machine['processor']}")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path)


if __name__ == "__main__":
    main()

"""Participant-pair reads per second: a medssl store beside npy files, Zarr, LitData, HF datasets.

    python benchmarks/loader.py             # one to three minutes, 1 GB in a temporary folder
    python benchmarks/loader.py --quick     # does it run? the data fit into the processor's cache
    python benchmarks/loader.py --from-store STORE

Every layout holds the same float32 segments in the same order, uncompressed, and serves the same
batches of positive pairs, drawn by `PairSampler`. One process reads; a call fetches both halves of
a batch; opening is not timed; layouts take turns in every round, in which they read all batches
for a quarter of a second or once; each must return the same bits. The segments are noise unless a
store is given: only reading and writing are timed, never decoding.

Each peer is read in the fastest way found for it:

- one `.npy` a segment, a folder a participant: `np.load`, and raw reads straight into the batch.
- Zarr 3, no compressor, `oindex` over sorted rows without repeats: chunks of one segment in shards
  of 4,096; chunks of 64; chunks of 512, of which a batch touches nearly all, so that their speed
  is that of reading everything each time and falls as the data grow.
- LitData, chunk files of 64 MB, item by item (it has no batched access): arrays of the default
  loader with `batch_decode=0` (by default a random read decodes 256 neighbours), and flat arrays of
  equal length through `TokensLoader`.
- HF datasets, fixed-size lists, `dataset[rows]`: numpy format, and arrow format unwrapped by hand.

The last row is no peer but a ceiling: one `.npy` with everything, mapped, without index or checks.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from rich.console import Console
from rich.table import Table

from medssl.contracts import WaveformContract
from medssl.errors import MedsslError, MissingExtraError, require
from medssl.records import Record
from medssl.sampling.pairs import PairConfig, PairSampler
from medssl.store import Store, write_store
from medssl.types import Kind, Modality, Rows, Segments

Figures = tuple[str, str, str]
Read = Callable[[Rows], np.ndarray]
Ways = dict[str, Callable[[], Read]]
"""Ways to open a layout, each with a name if there are several."""
Write = Callable[["Path", "Data"], Ways]

QUICK = {"segments": 2000, "participants": 300, "batch_size": 64, "batches": 3, "rounds": 3}
RECORDING = 8
"""Segments in one recording of the medssl store, at most."""
TURN = 0.25
"""Seconds for which a layout repeats the batches in each round, at least."""
SHARED = {"modality", "rate", "channels", "units"}
"""What contracts and records have in common."""


@dataclass(frozen=True)
class Data:
    """The segments that every layout holds.

    Args:
        values: Shape (segments, channels, time), participant after participant.
        participants: Participant of each segment.
        contract: What the segments are.
    """

    values: Segments
    participants: np.ndarray
    contract: WaveformContract


def make_data(segments: int, participants: int, samples: int = 1280) -> Data:
    """Noise of participants with skewed counts: a few have many segments, many have few."""
    rng = np.random.default_rng(0)
    weights = rng.lognormal(sigma=1, size=participants)
    counts = 1 + rng.multinomial(segments - participants, weights / weights.sum())
    names = np.array([f"p{number:06d}" for number in range(participants)])
    return Data(
        rng.standard_normal((segments, 1, samples), dtype=np.float32),
        np.repeat(names, counts),
        WaveformContract(
            modality=Modality.PPG, rate=64, channels=("ppg",), units="counts", length=samples
        ),
    )


def load_data(path: Path, limit: int) -> Data:
    """The first segments of the first waveform modality of a store, ordered by participant."""
    store = Store.open(path)
    found = sorted(set(store.column("modality")))
    modality = next((m for m in found if Modality(m).kind is Kind.WAVEFORM), Modality.PPG)
    rows = store.rows(modality=modality)[:limit]
    contract = store.contract(modality, rows)
    participants = store.column("participant", rows).astype(str)
    order = np.argsort(participants, kind="stable")
    return Data(store.read(rows[order]), participants[order], contract)


def draw_batches(data: Data, batch_size: int, batches: int) -> list[Rows]:
    """Rows of both halves of each batch of pairs."""
    rows, config = np.arange(len(data.values)), PairConfig()
    sampler = PairSampler(rows, data.participants, batch_size=batch_size, config=config, seed=0)
    epochs = range(-(-batches // sampler.batches_per_epoch))
    pairs = [batch for epoch in epochs for batch in sampler.epoch(epoch)]
    return [np.concatenate([batch.first, batch.second]) for batch in pairs[:batches]]


def medssl_store(folder: Path, data: Data) -> Ways:
    """The store; its rows come in the order given, because that is the order it sorts by."""
    contract = data.contract
    common = {"session": "s", "source_digest": "0" * 32, **contract.model_dump(include=SHARED)}
    records = (
        Record(
            participant=str(data.participants[row]),
            recording=f"{row // RECORDING:09d}",
            start=row % RECORDING * contract.seconds,
            data=segment,
            **common,
        )
        for row, segment in enumerate(data.values)
    )
    write_store(folder, records)
    return {"": lambda: Store.open(folder).read}


def npy_files(folder: Path, data: Data) -> Ways:
    """One file a segment."""
    for name in np.unique(data.participants):
        (folder / name).mkdir(parents=True)
    paths = [str(folder / name / f"{row}.npy") for row, name in enumerate(data.participants)]
    for path, segment in zip(paths, data.values, strict=True):
        np.save(path, segment)
    shape, dtype = data.values.shape[1:], data.values.dtype
    header = Path(paths[0]).stat().st_size - data.values[0].nbytes

    def usual(rows: Rows) -> np.ndarray:
        return np.stack([np.load(paths[row]) for row in rows.tolist()])

    def raw(rows: Rows) -> np.ndarray:
        out = np.empty((len(rows), *shape), dtype)
        for position, row in enumerate(rows.tolist()):
            with open(paths[row], "rb", buffering=0) as file:  # noqa: PTH123 — Path is slower
                file.seek(header)
                file.readinto(out[position])
        return out

    return {"np.load": lambda: usual, "raw": lambda: raw}


def zarr_array(folder: Path, data: Data, *, chunk: int, shard: int | None = None) -> Ways:
    """One array, chunked along the segments."""
    import zarr

    inner = data.values.shape[1:]
    array = zarr.create_array(
        str(folder),
        shape=data.values.shape,
        chunks=(chunk, *inner),
        shards=None if shard is None else (shard, *inner),
        dtype=data.values.dtype,
        compressors=None,
    )
    array[:] = data.values

    def opened() -> Read:
        selection = zarr.open_array(str(folder), mode="r").oindex

        def read(rows: Rows) -> np.ndarray:
            distinct, places = np.unique(rows, return_inverse=True)
            return selection[distinct][places]

        return read

    return {"": opened}


def litdata_chunks(folder: Path, data: Data, *, tokens: bool) -> Ways:
    """Chunk files, written directly: `litdata.optimize` would add starting processes."""
    from litdata import StreamingDataset
    from litdata.streaming import Cache
    from litdata.streaming.item_loader import PyTreeLoader, TokensLoader

    folder.mkdir()
    loader = partial(TokensLoader, data.values[0].size) if tokens else PyTreeLoader
    cache = Cache(str(folder), chunk_bytes="64MB", item_loader=loader())
    for row, segment in enumerate(data.values):
        cache[row] = segment.ravel() if tokens else segment
    cache.done()
    cache.merge()
    shape = data.values.shape[1:]

    def opened() -> Read:
        dataset = StreamingDataset(str(folder), item_loader=loader())
        return lambda rows: np.stack([dataset[row] for row in rows.tolist()]).reshape(-1, *shape)

    return {"": opened}


def hf_datasets(folder: Path, data: Data) -> Ways:
    """Arrow files."""
    from datasets import Dataset, Features, Sequence, Value, disable_progress_bars, load_from_disk

    disable_progress_bars()
    flat = data.values.reshape(len(data.values), -1)
    column = Sequence(Value(str(flat.dtype)), length=flat.shape[1])
    Dataset.from_dict({"x": flat}, features=Features({"x": column})).save_to_disk(folder)
    shape = data.values.shape[1:]

    def opened(form: str) -> Read:
        dataset = load_from_disk(str(folder)).with_format(form)

        def read(rows: Rows) -> np.ndarray:
            column = dataset[rows]["x"]
            found = column if form == "numpy" else column.combine_chunks().flatten().to_numpy()
            return found.reshape(-1, *shape)

        return read

    return {form: partial(opened, form) for form in ("numpy", "arrow")}


def one_array(folder: Path, data: Data) -> Ways:
    """One file for all."""
    folder.mkdir()
    np.save(folder / "segments.npy", data.values)
    array = np.asarray(np.load(folder / "segments.npy", mmap_mode="r"))
    return {"": lambda: partial(array.take, axis=0)}


LAYOUTS: tuple[tuple[str, str | None, Write], ...] = (
    ("medssl store", None, medssl_store),
    ("npy files", None, npy_files),
    ("Zarr 1, sharded", "zarr", partial(zarr_array, chunk=1, shard=4096)),
    ("Zarr 64", "zarr", partial(zarr_array, chunk=64)),
    ("Zarr 512", "zarr", partial(zarr_array, chunk=512)),
    ("LitData arrays", "litdata", partial(litdata_chunks, tokens=False)),
    ("LitData tokens", "litdata", partial(litdata_chunks, tokens=True)),
    ("HF datasets", "datasets", hf_datasets),
    ("one array (ceiling)", None, one_array),
)
"""Name, package, and the function that writes the layout and says how it can be opened."""


def write_layout(write: Write, folder: Path, data: Data) -> tuple[Figures, Ways]:
    """Write and measure: seconds, allocated megabytes and files, and the ways to open it."""
    start = time.perf_counter()
    ways = write(folder, data)
    seconds = time.perf_counter() - start
    stats = [path.stat() for path in folder.rglob("*") if path.is_file()]
    nbytes = sum(s.st_blocks * 512 if hasattr(s, "st_blocks") else s.st_size for s in stats)
    return (f"{seconds:.2f}", f"{nbytes / 1e6:,.1f}", f"{len(stats):,}"), ways


def check_identical(name: str, read: Read, batches: Iterable[Rows], data: Data) -> None:
    """Refuse a layout that returns anything but the very bits; reads everything once as well.

    Raises:
        RuntimeError: It returned something else.
    """
    for rows in batches:
        expected, found = data.values[rows], read(rows)
        same = (found.shape, found.dtype) == (expected.shape, expected.dtype)
        if not same or found.tobytes() != expected.tobytes():
            msg = f"{name} returned other segments than were stored"
            raise RuntimeError(msg)


def measure(reads: dict[str, Read], batches: Sequence[Rows], rounds: int) -> dict[str, list[float]]:
    """Pairs read per second, by layout, one figure a round; layouts take turns."""
    pairs = sum(len(rows) for rows in batches) / 2
    rates: dict[str, list[float]] = {name: [] for name in reads}
    for _ in range(rounds):
        for name, read in reads.items():
            read(batches[0])  # its code and memory are at hand, as in a loop of its own
            passes, elapsed, start = 0, 0.0, time.perf_counter()
            while elapsed < TURN:
                for rows in batches:
                    read(rows)
                passes, elapsed = passes + 1, time.perf_counter() - start
            rates[name].append(passes * pairs / elapsed)
    return rates


def tabulate(caption: str, rates: dict[str, list[float]], written: dict[str, Figures]) -> Table:
    """The comparison; medssl comes first."""
    table = Table(title="Participant-pair reads per second", caption=caption)
    table.add_column("layout", no_wrap=True)
    for heading in ("write s", "MB on disk", "files", "median", "min–max", "medssl ×"):
        table.add_column(heading, justify="right", no_wrap=True)
    medians = {name: statistics.median(values) for name, values in rates.items()}
    ours = next(iter(medians.values()))
    for name, values in rates.items():
        spread = f"{min(values):,.0f}–{max(values):,.0f}"
        times = f"{ours / medians[name]:.2f}"
        table.add_row(name, *written[name], f"{medians[name]:,.0f}", spread, times)
    return table


def machine(packages: Mapping[str, str]) -> str:
    """What the figures were taken on, and how busy it is."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = [line for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
        model = lines[0].split(":")[1].strip() if lines else model
    versions = ", ".join(f"{package} {version}" for package, version in packages.items())
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    system = f"{platform.system()}, Python {platform.python_version()}"
    return f"{model}, {os.cpu_count()} cores{load}, {system}, {versions}"


def parse_options() -> argparse.Namespace:
    """The command line; what is given beats `--quick`."""
    parser = argparse.ArgumentParser(description="Participant-pair reads per second.")
    parser.add_argument("--segments", type=int, default=20_000, help="segments stored")
    parser.add_argument("--participants", type=int, default=2_000, help="participants (noise)")
    parser.add_argument("--batch-size", type=int, default=256, help="pairs in a batch")
    parser.add_argument("--batches", type=int, default=20, help="batches read in a round")
    parser.add_argument("--rounds", type=int, default=5, help="rounds; the median counts")
    parser.add_argument("--from-store", type=Path, help="take the segments of this medssl store")
    parser.add_argument("--folder", type=Path, help="where to write; the system's temporary folder")
    parser.add_argument("--quick", action="store_true", help="little data, few rounds")
    if parser.parse_args().quick:
        parser.set_defaults(**QUICK)
    return parser.parse_args()


def run(options: argparse.Namespace, console: Console) -> None:
    """Write, check, measure and print."""
    source, count = options.from_store, options.segments
    data = load_data(source, count) if source else make_data(count, options.participants)
    batches = draw_batches(data, options.batch_size, options.batches)
    packages = {package: metadata.version(package) for package in ("medssl", "numpy", "pyarrow")}
    reads: dict[str, Read] = {}
    written: dict[str, Figures] = {}
    with TemporaryDirectory(dir=options.folder, ignore_cleanup_errors=True) as folder:
        for label, package, write in LAYOUTS:
            if package:
                try:
                    require(package, extra="bench", purpose=label)
                except MissingExtraError as error:
                    console.print(f"skipped: {error}", markup=False)
                    continue
                packages[package] = metadata.version(package)
            with console.status(f"writing {label}"):
                figures, ways = write_layout(write, Path(folder) / label, data)
            for way, opened in ways.items():
                name = f"{label}, {way}" if way else label
                reads[name], written[name] = opened(), figures
        if hasattr(os, "sync"):
            os.sync()  # nothing is written back while reads are timed
        with console.status("reading"):
            for name, read in reads.items():
                check_identical(name, read, batches, data)
            rates = measure(reads, batches, options.rounds)
        shape = "×".join(str(length) for length in data.values.shape[1:])
        caption = (
            f"{len(data.values):,} segments of {shape}, {len(set(data.participants)):,} "
            f"participants, {options.rounds} rounds, {len(batches)} batches of {options.batch_size}"
        )
        console.print(tabulate(caption, rates, written))
    console.print(
        f"All layouts returned the same bits in all {len(batches)} batches. "
        "medssl × is medssl's rate over the row's: below 1, the row is faster.\n"
        "Warm: all was written just before and lies in the page cache. A first read from a disk "
        "is bound by the disk, and by opening files where each segment has its own. "
        "medssl's write includes digests and fsync; the others leave both out.\n"
        f"{machine(packages)}",
        markup=False,
        highlight=False,
    )


def main() -> None:
    """Run offline."""
    os.environ.update(
        HF_HUB_OFFLINE="1",
        HF_DATASETS_OFFLINE="1",
        HF_HUB_DISABLE_TELEMETRY="1",
        LITDATA_DISABLE_VERSION_CHECK="1",
        LITDATA_BATCH_DECODE="0",  # older versions, which always decode single items, ignore it
    )
    options = parse_options()
    try:
        run(options, Console(width=max(110, Console().width)))
    except MedsslError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()

"""Whether a bundle is, file by file, what was saved."""

from __future__ import annotations

from pathlib import Path

from medssl.bundle.manifest import (
    digest_sha256,
    files_below,
    find_damage,
    read_manifest,
    read_object,
)
from medssl.bundle.names import CONFIG, CONTRACT, FACTS, FILES, TASK, WEIGHTS
from medssl.bundle.weights import read_shapes
from medssl.contracts import parse_contract
from medssl.errors import StoreError
from medssl.files import digest_file

_FAMILY = "medssl-"


def verify_bundle(path: str | Path, *, digest: str | None = None) -> list[str]:
    """Problems of a bundle, one line each; none when it is whole.

    Every file is compared with the list that was written when the bundle was saved. Whoever
    changes a file *and* the list is found only by `digest`, which has to come from elsewhere:
    the model registry, or a note.

    Args:
        path: The bundle folder, of an encoder or of a task.
        digest: What `bundle_digest` gave when the bundle was received.
    """
    folder = Path(path)
    try:
        config = read_object(folder, CONFIG)
        manifest = read_manifest(folder)
    except StoreError as error:
        return [str(error)]
    if not str(config.get("format")).startswith(_FAMILY):
        return [f"{folder} is not a medssl bundle: {CONFIG} does not say so"]
    problems = []
    if manifest is not None:
        found = (find_damage(folder, name, entry) for name, entry in manifest.items())
        problems += [problem for problem in found if problem is not None]
        extra = sorted(set(files_below(folder)) - set(manifest))
        problems += [f"{name} was added after the bundle was saved" for name in extra]
        needed = [name for name in (CONFIG, CONTRACT, WEIGHTS) if name not in manifest]
        problems += [f"{name} is not in {FILES}" for name in needed]
    elif config.get("version") != 1:
        problems.append(f"{FILES} is gone: nothing says what was saved")
    problems = problems or _contents(folder, config.get("weights_digest"))
    if digest is not None and not problems and bundle_digest(folder) != digest:
        problems.append(f"this is another bundle: its digest is {bundle_digest(folder)}")
    return problems


def find_changed_facts(path: str | Path) -> list[str]:
    """What was changed of the files that a bundle is shown by; weights are not looked at.

    Args:
        path: The bundle folder.
    """
    folder = Path(path)
    manifest = read_manifest(folder) or {}
    found = (
        find_damage(folder, name, entry)
        for name, entry in manifest.items()
        if name in (CONFIG, CONTRACT, FACTS, TASK)
    )
    return [problem for problem in found if problem is not None]


def bundle_digest(path: str | Path) -> str:
    """Identity of a bundle: SHA-256 of its list of files; of version 1, digest of its weights.

    Raises:
        StoreError: The folder is not a bundle.
    """
    folder = Path(path)
    if (folder / FILES).is_file():
        return digest_sha256(folder / FILES)
    return str(read_object(folder, CONFIG).get("weights_digest"))


def _contents(folder: Path, weights_digest: object) -> list[str]:
    problems = []
    try:
        parse_contract(read_object(folder, CONTRACT))
    except StoreError as error:
        problems.append(str(error))
    except ValueError:
        problems.append(f"{CONTRACT} is not a contract")
    weights = folder / WEIGHTS
    if not weights.is_file() or digest_file(weights) != weights_digest:
        problems.append(f"{WEIGHTS} is not the one that {CONFIG} names")
        return problems
    try:
        read_shapes(weights)
    except StoreError as error:
        problems.append(str(error))
    return problems

"""MLflow, and nothing but MLflow, behind a dozen lines of interface."""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

from medssl.errors import StageError
from medssl.version import __version__

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric
    from mlflow.entities import Run as StoredRun

HOME_VARIABLE: Final = "MEDSSL_HOME"
URI_VARIABLE: Final = "MLFLOW_TRACKING_URI"
_STAGE_TAG: Final = "medssl.stage"
_KEY_TAG: Final = "medssl.key"
_SKIPPED_TAG: Final = "medssl.skipped."
_RUN_VARIABLE: Final = "MLFLOW_RUN_ID"
_EXPERIMENT_VARIABLE: Final = "MLFLOW_EXPERIMENT_ID"
_FLUSH_METRICS: Final = 500
_FLUSH_SECONDS: Final = 10.0
_PARAM_LENGTH: Final = 6_000
_PARAMS_PER_CALL: Final = 100
_DATASET_DIGEST_LENGTH: Final = 36
_MODEL_FOLDER: Final = "model"
_LOADER: Final = "medssl.bundle.pyfunc"
_NAME: Final = re.compile(r"\w[\w.-]*", re.ASCII)
_ALIAS: Final = re.compile(r"(?!(latest|v\d+)$)\w[\w-]*", re.ASCII | re.IGNORECASE)
"""MLflow keeps `latest` and `v1`, `v2`, … for itself."""
DIGEST_TAG: Final = "medssl.bundle"
"""Tag of a registered version: digest of its bundle."""

PRIVATE_KEYS: Final = frozenset(
    {"path", "root", "store", "table", "inputs", "pattern", "pseudonym_key", "include", "salt"}
    | {"aliases", "replace", "values"}  # names of people, and cells as they stand in tables
    | {"prompts"}  # a path
)
"""Settings that may hold an identifier or a secret; they are never sent to MLflow."""

_NO_PARAM: Final = re.compile(r"[^\w\-. :/]")
"""What MLflow takes in no name of a parameter, and names of labels may have."""


def home() -> Path:
    """Where medssl keeps what belongs to the user and not to a project: `$MEDSSL_HOME`."""
    return Path(os.environ.get(HOME_VARIABLE) or Path.home() / ".medssl").expanduser().resolve()


def tracking_uri() -> str:
    """`$MLFLOW_TRACKING_URI`, or one SQLite file at one absolute place."""
    return os.environ.get(URI_VARIABLE) or f"sqlite:///{home() / 'mlflow.db'}"


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested settings as dotted keys, without those that may hold an identifier.

    >>> flatten({"fit": {"steps": 10}, "path": "/data/Jane Doe"})
    {'fit.steps': '10'}
    """
    flat: dict[str, str] = {}
    for key, value in values.items():
        if key in PRIVATE_KEYS:
            continue
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{key}.")
        elif isinstance(value, list | tuple) and any(isinstance(v, Mapping) for v in value):
            flat |= flatten({str(i): v for i, v in enumerate(value)}, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = str(value)
    return flat


class Run:
    """One MLflow run; metrics are buffered and written in batches."""

    def __init__(self, client: MlflowClient | None, run_id: str, experiment_id: str) -> None:
        self._client = client
        self.id = run_id
        self.experiment_id = experiment_id
        self._metrics: list[Metric] = []
        self._flushed = time.monotonic()

    def params(self, values: Mapping[str, Any]) -> None:
        """Log settings under `cfg.`; private ones are left out."""
        if self._client is None:
            return
        from mlflow.entities import Param

        named = {_NO_PARAM.sub("_", f"cfg.{k}"): v for k, v in flatten(values).items()}
        items = [Param(name, value[:_PARAM_LENGTH]) for name, value in named.items()]
        for start in range(0, len(items), _PARAMS_PER_CALL):
            self._client.log_batch(self.id, params=items[start : start + _PARAMS_PER_CALL])

    def metrics(self, values: Mapping[str, float], *, step: int = 0) -> None:
        """Log numbers; they reach MLflow with the next batch."""
        if self._client is None:
            return
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        self._metrics += [Metric(k, float(v), now, step) for k, v in values.items()]
        waited = time.monotonic() - self._flushed
        if len(self._metrics) >= _FLUSH_METRICS or waited > _FLUSH_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write what is buffered."""
        if self._client is not None:
            while self._metrics:
                self._client.log_batch(self.id, metrics=self._metrics[:1000])
                del self._metrics[:1000]
        self._flushed = time.monotonic()

    def tags(self, values: Mapping[str, str]) -> None:
        """Set tags."""
        if self._client is not None:
            from mlflow.entities import RunTag

            self._client.log_batch(self.id, tags=[RunTag(k, v) for k, v in values.items()])

    def artifacts(self, path: Path, folder: str | None = None) -> None:
        """Copy a file or a folder into the run's artifacts."""
        if self._client is None:
            return
        if path.is_dir():
            self._client.log_artifacts(self.id, str(path), folder)
        else:
            self._client.log_artifact(self.id, str(path), folder)

    def dataset(self, name: str, digest: str) -> None:
        """Say which data were used: a digest, never a path."""
        if self._client is None:
            return
        from mlflow.data.code_dataset_source import CodeDatasetSource
        from mlflow.data.meta_dataset import MetaDataset
        from mlflow.entities import DatasetInput

        # mypy takes a property that MetaDataset inherits on purpose for one that is missing.
        dataset = MetaDataset(  # type: ignore[abstract]
            CodeDatasetSource(tags={}), name=name, digest=digest[:_DATASET_DIGEST_LENGTH]
        )
        self._client.log_inputs(self.id, [DatasetInput(dataset._to_mlflow_entity(), [])])
        self.tags({f"medssl.{name}": digest})

    def end(self, status: str) -> None:
        """Close the run as FINISHED, FAILED or KILLED."""
        if self._client is not None:
            self.flush()
            self._client.set_terminated(self.id, status)


class Tracker:
    """Opens runs in one experiment; with `enabled=False` it does nothing.

    A run id that `mlflow run` left in the environment is continued by the first run opened.
    """

    def __init__(self, *, experiment: str = "medssl", enabled: bool = True) -> None:
        self._client: MlflowClient | None = None
        self._experiment_id = ""
        self.uri = tracking_uri()
        if enabled:
            self._connect(experiment)

    def _connect(self, experiment: str) -> None:
        from mlflow.exceptions import MlflowException

        try:
            self._client = _client(self.uri)
            self._find_experiment(experiment)
        except MlflowException as error:
            reason = str(error).splitlines()[0]
            msg = f"cannot log to {self.uri} ({reason}): correct ${URI_VARIABLE}, or unset it"
            raise StageError(msg) from error

    def _find_experiment(self, experiment: str) -> None:
        assert self._client is not None
        self._experiment_id = os.environ.get(_EXPERIMENT_VARIABLE, "")
        if self._experiment_id:
            return
        found = self._client.get_experiment_by_name(experiment)
        if found is not None:
            self._experiment_id = found.experiment_id
            return
        # Without an address of its own, a SQLite experiment scatters artifacts over the folders
        # that commands are started in.
        place = (home() / "artifacts" / experiment).as_uri() if "sqlite:" in self.uri else None
        self._experiment_id = self._client.create_experiment(experiment, artifact_location=place)

    @contextmanager
    def run(
        self, name: str, *, parent: Run | None = None, tags: Mapping[str, str] | None = None
    ) -> Iterator[Run]:
        """Open a run; it ends FINISHED, FAILED when the block raises, KILLED when interrupted."""
        run = self._open(name, parent, dict(tags or {}))
        try:
            yield run
        except Exception:
            run.end("FAILED")
            raise
        except BaseException:
            run.end("KILLED")
            raise
        run.end("FINISHED")

    def fail_left_open(self, run_id: str) -> None:
        """Close as FAILED a run whose process died without a word."""
        if self._client is None or not run_id:
            return
        from mlflow.exceptions import MlflowException

        try:
            status = self._client.get_run(run_id).info.status
        except MlflowException:
            return  # it was deleted, or belongs to another tracking server
        if status == "RUNNING":
            self._client.set_terminated(run_id, "FAILED")

    def _open(self, name: str, parent: Run | None, tags: dict[str, str]) -> Run:
        if self._client is None:
            return Run(None, "", "")
        given = os.environ.pop(_RUN_VARIABLE, None) if parent is None else None
        if given is not None:
            run = Run(self._client, given, self._experiment_id)
            run.tags(tags)
            return run
        from mlflow.tracking.context.registry import resolve_tags

        tags = {**resolve_tags(), "mlflow.runName": name, **tags}
        if parent is not None:
            tags["mlflow.parentRunId"] = parent.id
        created = self._client.create_run(self._experiment_id, tags=tags)
        return Run(self._client, created.info.run_id, self._experiment_id)


def stage_keys(run_id: str) -> dict[str, str]:
    """Stage keys of a run, by stage: its own, or those that a pipeline's run did or skipped.

    Empty when the tracking server knows no such run, or it has no stage of medssl.
    """
    from mlflow.exceptions import MlflowException

    try:
        client = _client(tracking_uri())
        run = _find_run(client, run_id)
        if run is None:
            return {}
        tags = run.data.tags
        parent = f"tags.`mlflow.parentRunId` = '{run_id}'"
        children = client.search_runs([run.info.experiment_id], parent)
        made = [name for key, name in tags.items() if key.startswith(_SKIPPED_TAG)]
        found = [run, *children, *(_find_run(client, name) for name in made)]
    except MlflowException as error:
        reason = str(error).splitlines()[0]
        msg = f"cannot ask {tracking_uri()} ({reason}): correct ${URI_VARIABLE}, or unset it"
        raise StageError(msg) from error
    every = [other.data.tags for other in found if other is not None]
    return {t[_STAGE_TAG]: t[_KEY_TAG] for t in every if _KEY_TAG in t}


def _client(uri: str) -> MlflowClient:
    home().mkdir(parents=True, exist_ok=True)
    # Protected data: nothing calls home. MLflow would report usage, and wait for it offline.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    # A new database tells of every migration; nobody has asked.
    for name in ("alembic", "mlflow.store.db.utils", "mlflow.tracking"):
        logging.getLogger(name).setLevel(logging.ERROR)
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=uri)


def _find_run(client: MlflowClient, run_id: str) -> StoredRun | None:
    """A run, or None where there is none; so it is with what a run without tracking has made."""
    from mlflow.exceptions import MlflowException
    from mlflow.protos.databricks_pb2 import (
        INVALID_PARAMETER_VALUE,
        RESOURCE_DOES_NOT_EXIST,
        ErrorCode,
    )

    absent = {ErrorCode.Name(code) for code in (INVALID_PARAMETER_VALUE, RESOURCE_DOES_NOT_EXIST)}
    try:
        return client.get_run(run_id)
    except MlflowException as error:
        if error.error_code in absent:
            return None
        raise


def register_bundle(run: Run, path: Path, name: str, alias: str) -> str:
    """Put a bundle into the model registry and point an alias to it.

    The bundle travels as it is, as the data of an MLflow model whose loader is medssl:
    `mlflow.pyfunc.load_model("models:/NAME@ALIAS").predict(segments)` embeds, and nothing is
    pickled. A bundle that is registered under this name already gets the alias, not a copy.

    Args:
        run: Keeps the bundle among its artifacts.
        path: The bundle folder.
        name: Name of the model in the registry.
        alias: Such as `"candidate"` or `"production"`; taken from the version that had it.

    Returns:
        Version of the model.

    Raises:
        StageError: Tracking is off, the bundle is damaged, or MLflow refuses the name or alias.
    """
    if run._client is None:
        msg = f"registering {name} needs MLflow: set tracking.enabled: true"
        raise StageError(msg)
    if not _NAME.fullmatch(name) or not _ALIAS.fullmatch(alias):
        msg = (
            f"{name!r} with alias {alias!r} cannot be registered: use letters, digits, _ and -, "
            "and no alias that MLflow keeps for itself (latest, v1, v2, …)"
        )
        raise StageError(msg)
    from mlflow.exceptions import MlflowException

    from medssl.bundle import CONFIG, FORMAT, bundle_digest, read_object, verify_bundle

    problems = verify_bundle(path)
    if not problems and read_object(path, CONFIG)["format"] != FORMAT:
        problems = ["it is no encoder's; a task bundle is used with medssl.finetuning.load_task"]
    if problems:
        msg = f"the bundle at {path} is not registered: {problems[0]}"
        raise StageError(msg)
    digest = bundle_digest(path)
    try:
        found = _find_version(run._client, name, digest)
        version = found or _add_version(run, path, name, digest)
        run._client.set_registered_model_alias(name, alias, version)
    except MlflowException as error:
        reason = str(error).splitlines()[0]
        msg = f"the model registry does not take {name}@{alias}: {reason}"
        raise StageError(msg) from error
    run.tags({f"medssl.registered.{name}": version})
    return version


def _find_version(client: MlflowClient, name: str, digest: str) -> str | None:
    """The newest version of a model that is this very bundle."""
    query = f"name = '{name}' and tags.`{DIGEST_TAG}` = '{digest}'"
    found = [v for v in client.search_model_versions(query) if v.status == "READY"]
    return max((str(v.version) for v in found), key=int, default=None)


def _add_version(run: Run, path: Path, name: str, digest: str) -> str:
    import mlflow.pyfunc
    from mlflow.exceptions import MlflowException
    from mlflow.protos.databricks_pb2 import RESOURCE_ALREADY_EXISTS, ErrorCode

    client = run._client
    assert client is not None
    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != ErrorCode.Name(RESOURCE_ALREADY_EXISTS):
            raise
    with TemporaryDirectory() as temporary:
        model = Path(temporary) / _MODEL_FOLDER
        # Requirements are given, for MLflow would load the model to guess them.
        mlflow.pyfunc.save_model(
            model, loader_module=_LOADER, data_path=path,
            pip_requirements=[f"medssl=={__version__}"],
        )  # fmt: skip
        client.log_artifacts(run.id, str(model), _MODEL_FOLDER)
    source = f"{client.get_run(run.id).info.artifact_uri}/{_MODEL_FOLDER}"
    made = client.create_model_version(name, source, run.id, tags={DIGEST_TAG: digest})
    return str(made.version)

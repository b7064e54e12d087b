"""The gate of an export, and how its files appear next to the served versions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ml_metadata import MetadataStore
from ml_metadata.proto import metadata_store_pb2 as mlmd
from tfx.orchestration.metadata import sqlite_metadata_connection_config

from components.exports.artifacts import DESTINATION, ExportedModel
from components.exports.lost_exports import forget_lost_exports
from components.exports.report import ExportReport, Figures, Variant, read_report, scalars, write_report
from components.exports.shipping import destination, ship
from components.exports.trial import Tried, judge
from components.refusal import REFUSED
from models.errors import PipelineError
from models.tasks.task import TASKS
from tests.components.versions.test_store import small_disk

TASK = TASKS["single_label"]
SERVED = np.array([[0.9, 0.1], [0.2, 0.8], [0.4, 0.6], [0.7, 0.3]], np.float32)


def tried(probabilities: np.ndarray, value: float) -> Tried:
    return Tried(probabilities, Figures(100, value, {"1": 1.0, "32": 2.0}))


def test_a_drop_beyond_the_tolerance_is_refused_with_both_values():
    flipped = SERVED.copy()
    flipped[2] = [0.55, 0.45]
    variant = judge("int8", tried(flipped, 0.75), tried(SERVED, 1.0), TASK, "accuracy", 0.2)
    assert variant.reason == (
        "accuracy 0.7500 is 0.2500 below the served model's 1.0000, at most 0.2 is allowed (max_drop)"
    )
    assert (variant.difference, variant.agreement) == (-0.25, 0.75)
    assert variant.max_probability_difference == pytest.approx(0.15)


def test_a_drop_of_exactly_the_tolerance_passes():
    assert judge("int8", tried(SERVED, 0.7), tried(SERVED, 0.8), TASK, "accuracy", 0.1).reason == ""


def test_a_better_variant_passes():
    assert judge("int8", tried(SERVED, 0.9), tried(SERVED, 0.8), TASK, "accuracy", 0.0).reason == ""


def test_answers_that_are_no_numbers_are_refused_whatever_the_metric_says():
    broken = SERVED.copy()
    broken[0] = np.nan
    assert judge("float16", tried(broken, 1.0), tried(SERVED, 0.5), TASK, "accuracy", 1.0) == Variant(
        "float16", "an answer is not a number"
    )


def test_a_report_reads_back_as_it_was_written(tmp_path):
    variants = (Variant("float32", "", Figures(7, 0.5, {"1": 1.5}), 0.0, 1e-7, 1.0), Variant("int8", "no"))
    report = ExportReport("onnx", "accuracy", 12, Figures(9, 0.5, {"1": 3.0}), variants, "4", "/exports")
    write_report(tmp_path, report)
    assert read_report(tmp_path) == report
    assert read_report(tmp_path).refused == "onnx int8: no"
    assert scalars(report)["float32.ms_batch_1"] == 1.5
    assert scalars(report)["int8.accepted"] == 0.0


@pytest.fixture
def version(tmp_path: Path) -> Path:
    folder = tmp_path / "serving" / "trec" / "2"
    folder.mkdir(parents=True)
    (folder / "saved_model.pb").write_bytes(b"graph")
    return folder


def made(tmp_path: Path, content: str) -> Path:
    folder = tmp_path / "made" / content
    (folder / "float32").mkdir(parents=True)
    (folder / "float32" / "model").write_text(content)
    return folder


def contents(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "serving/trec.exports").iterdir())


def test_exports_are_shipped_beside_the_served_versions(tmp_path, version):
    ship(made(tmp_path, "one"), version, "tfjs")
    target = destination(version, "tfjs")
    assert target == tmp_path / "serving/trec.exports/2/tfjs"
    assert (target / "float32/model").read_text() == "one"


def test_a_second_export_of_the_same_version_replaces_the_first(tmp_path, version):
    ship(made(tmp_path, "one"), version, "tfjs")
    ship(made(tmp_path, "two"), version, "tfjs")
    assert (destination(version, "tfjs") / "float32/model").read_text() == "two"
    assert contents(tmp_path) == [".lock", "2"]


def test_exports_of_versions_that_are_no_longer_served_are_removed(tmp_path, version):
    (tmp_path / "serving/trec.exports/1/tflite").mkdir(parents=True)
    ship(made(tmp_path, "one"), version, "tflite")
    assert contents(tmp_path) == [".lock", "2"]


def test_a_full_disk_is_told_and_leaves_what_was_there_and_no_half_copy(tmp_path, version):
    large = made(tmp_path, "two")
    (large / "weights").write_bytes(bytes(2_000_000))
    with small_disk(tmp_path / "serving/trec.exports", megabytes=1):
        ship(made(tmp_path, "one"), version, "tfjs")
        with pytest.raises(PipelineError, match=r"disk full .*nothing was exported"):
            ship(large, version, "tfjs")
        assert contents(tmp_path) == [".lock", "2"]
        assert (destination(version, "tfjs") / "float32/model").read_text() == "one"


def exported(tmp_path: Path, version: Path, content: str, refused: str = "") -> ExportedModel:
    """As the Exporter leaves it: files, report and properties, shipped."""
    folder, target = made(tmp_path, content), destination(version, "onnx")
    variants = (Variant(content),)
    write_report(folder, ExportReport("onnx", "accuracy", variants=variants, destination=str(target)))
    ship(folder, version, "onnx")
    artifact = ExportedModel()
    artifact.uri = str(folder)
    artifact.set_string_custom_property(REFUSED, refused)
    artifact.set_string_custom_property(DESTINATION, str(target))
    artifact.mlmd_artifact.state = mlmd.Artifact.LIVE
    return artifact


def recorded(tmp_path: Path, *artifacts: ExportedModel) -> MetadataStore:
    store = MetadataStore(sqlite_metadata_connection_config(str(tmp_path / "metadata.db")))
    type_id = store.put_artifact_type(ExportedModel()._get_artifact_type())
    for artifact in artifacts:
        artifact.mlmd_artifact.type_id = type_id
    store.put_artifacts([artifact.mlmd_artifact for artifact in artifacts])
    return store


def test_an_export_that_is_still_there_counts(tmp_path, version):
    assert forget_lost_exports(recorded(tmp_path, exported(tmp_path, version, "one"))) == 0


def test_an_export_of_which_a_file_is_gone_or_cut_is_forgotten_once(tmp_path, version):
    store = recorded(tmp_path, exported(tmp_path, version, "one"))
    (destination(version, "onnx") / "float32/model").write_text("o")
    assert (forget_lost_exports(store), forget_lost_exports(store)) == (1, 0)


def test_an_export_of_which_a_byte_changed_is_forgotten_when_bytes_are_read(tmp_path, version):
    store = recorded(tmp_path, exported(tmp_path, version, "one"))
    (destination(version, "onnx") / "float32/model").write_text("onE")
    assert (forget_lost_exports(store), forget_lost_exports(store, thorough=True)) == (0, 1)


def test_an_export_that_another_run_replaced_is_forgotten(tmp_path, version):
    first, second = exported(tmp_path, version, "one"), exported(tmp_path, version, "two")
    store = recorded(tmp_path, first, second)
    assert forget_lost_exports(store) == 1
    states = {Path(found.uri).name: found.state for found in store.get_artifacts()}
    assert states == {"one": mlmd.Artifact.DELETED, "two": mlmd.Artifact.LIVE}


def test_a_refused_export_is_forgotten(tmp_path, version):
    assert forget_lost_exports(recorded(tmp_path, exported(tmp_path, version, "one", refused="no"))) == 1


def test_a_folder_that_cannot_be_written_is_told_in_one_line(tmp_path, version):
    (tmp_path / "serving/trec.exports").write_text("a file where the folder should be")
    with pytest.raises(PipelineError, match=r"trec\.exports.*nothing was exported"):
        ship(made(tmp_path, "one"), version, "tflite")

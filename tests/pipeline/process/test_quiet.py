import logging
import os
import subprocess
import sys
import warnings

from components.project import PROJECT_DIR
from pipeline.process import quiet


def test_all_output_goes_to_the_log_but_what_is_written_to_the_real_streams(tmp_path, capfd):
    log = tmp_path / "logs" / "1.log"
    with quiet.redirected(log, verbose=False) as (out, err):
        os.write(1, b"from C++ stdout\n")
        os.write(2, b"from C++ stderr\n")
        subprocess.run(["sh", "-c", "echo from a child"], check=True)
        logging.getLogger("tfx").info("from logging")
        warnings.warn("from warnings", stacklevel=1)
        print("for the person", file=out)
        print("for the person too", file=err)
    told = capfd.readouterr()
    assert (told.out, told.err) == ("for the person\n", "for the person too\n")
    logged = log.read_text()
    for line in ("from C++ stdout", "from C++ stderr", "from a child", "from logging", "from warnings"):
        assert line in logged


def test_output_is_back_in_place_afterwards_also_after_an_error(tmp_path, capfd):
    try:
        with quiet.redirected(tmp_path / "1.log", verbose=False):
            raise ValueError
    except ValueError:
        os.write(1, b"visible\n")
    assert capfd.readouterr().out == "visible\n"


def test_verbose_shows_everything_and_keeps_the_log(tmp_path, capfd):
    with quiet.redirected(tmp_path / "1.log", verbose=True):
        os.write(2, b"from C++\n")
        logging.getLogger("tfx").info("from logging")
    told = capfd.readouterr().err
    assert "from C++" in told
    assert "from logging" in (tmp_path / "1.log").read_text()


def test_what_the_user_has_set_in_the_environment_stays(monkeypatch):
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "0")
    monkeypatch.delenv("TOKENIZERS_PARALLELISM", raising=False)
    quiet.prepare_environment()
    assert os.environ["TF_CPP_MIN_LOG_LEVEL"] == "0"
    assert os.environ["TF_USE_LEGACY_KERAS"] == "1"
    monkeypatch.delenv("TOKENIZERS_PARALLELISM")


def test_importing_the_entry_points_touches_no_environment():
    code = (
        "import os; before = dict(os.environ); import pipeline.local.cli; assert dict(os.environ) == before"
    )
    subprocess.run([sys.executable, "-c", code], cwd=PROJECT_DIR, check=True)

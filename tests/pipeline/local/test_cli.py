import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from components.project import PROJECT_DIR
from models.tokenizers.family import FAMILIES
from pipeline.local import run_lock
from tests.support.faulty_graph import FAULTY_FAMILY
from tests.support.tiny_project import write_project


@pytest.fixture
def config(config_file: Path, tmp_path: Path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    return config_file


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    return write_project(tmp_path_factory.mktemp("made")).parent


@pytest.fixture
def project(made: Path, config: Path) -> Path:
    """tiny.yaml with everything that it names."""
    shutil.copytree(made, config.parent, dirs_exist_ok=True)
    return config


def add_version(path: Path, number: int, /, **info: object) -> None:
    folder = path.parent / "serving" / "tiny" / str(number)
    (folder / "assets.extra").mkdir(parents=True)
    (folder / "saved_model.pb").write_bytes(b"model %d" % number)
    (folder / "assets.extra" / "push.json").write_text(json.dumps(info))


def test_help_lists_every_command(call):
    code, out, _ = call("--help")
    assert code == 0
    for command in (
        "run",
        "import",
        "data",
        "config",
        "tokenize",
        "versions",
        "rollback",
        "promote",
        "prune",
    ):
        assert f" {command} " in out


def test_a_valid_config_is_told_so(call, project):
    assert call("config", project) == (0, f"{project}: valid config of 'tiny'\n", "")


def test_what_is_not_fetched_yet_is_told_as_not_checked(call, project):
    hub = ["model.checkpoint.hub=a/b", f"model.checkpoint.revision='{'1' * 40}'"]
    code, out, _ = call("config", project, *(part for option in hub for part in ("--set", option)))
    assert (code, out.splitlines()[1:]) == (
        0,
        ["  not checked: the checkpoint 'a/b', which has not been downloaded yet"],
    )


@pytest.mark.parametrize(
    ("override", "code", "reason"),
    [
        (
            "data.label_column=category",
            2,
            "data.label_column: {folder}/data/schema.pbtxt has no column 'category'; it has label, text",
        ),
        ("data.path=/nope", 2, "data.path: no folder at /nope; create it with"),
        ("train.freeze.layers=3", 2, "train.freeze.layers 3 is more than the 2 layers"),
        ("data.splits={train: train-*, eval: eval-*, test: x}", 3, "data.splits.test: no file matches 'x'"),
    ],
)
def test_config_and_run_say_the_same_of_what_is_not_there(call, project, override, code, reason):
    reason = reason.format(folder=project.parent)
    for command in (["config", project], ["run", project, "--root", project.parent / "runs", "--json"]):
        ended, _, err = call(*command, "--set", override)
        assert ended == code
        assert re.sub("^(error|refused): ", "", err).startswith(reason)


def test_an_unknown_key_exits_with_2_and_names_file_and_line(call, config):
    config.write_text(config.read_text() + "pusher: {}\n")
    code, _, err = call("config", config)
    assert code == 2
    assert f"error: {config}:13: unknown key 'pusher'" in err


def test_an_override_is_checked_like_the_file(call, config):
    code, _, err = call("config", config, "--set", "train.epochs=-1")
    assert code == 2
    assert "--set train.epochs=-1" in err


def test_the_json_schema_names_the_keys_of_the_file(call):
    code, out, _ = call("config", "--schema")
    schema = json.loads(out)
    assert code == 0
    assert schema["properties"].keys() == {
        "name",
        "task",
        "data",
        "model",
        "transform",
        "parity",
        "train",
        "evaluate",
        "canary",
        "push",
        "beam",
        "report",
        "serve",
        "export",
        "kubeflow",
    }
    assert "schema" in schema["$defs"]["DataSettings"]["properties"]


def test_explain_tells_type_default_and_meaning(call):
    code, out, _ = call("config", "--explain")
    assert code == 0
    assert "train.batch_size (int; 32): Rows per forward pass, over all replicas." in out.splitlines()


@pytest.mark.parametrize("arguments", [["config"], ["config", "--schema", "--explain"]])
def test_config_without_one_thing_to_do_is_a_usage_error(call, arguments):
    code, _, err = call(*arguments)
    assert code == 2
    assert "give either a CONFIG to check, --schema or --explain" in err


def test_versions_tells_of_each_version_when_by_which_run_from_what_and_how_good(call, config):
    add_version(config, 1, pushed_at="2026-01-02T03:04:05+00:00", run_id="run-7")
    add_version(
        config,
        2,
        pushed_at="2026-01-03T03:04:05+00:00",
        run_id="run-8",
        metrics={"accuracy": 0.95, "auc": None},
        baseline_metrics={"accuracy": 0.9},
        data={"path": "/data/trec", "span": 3, "fingerprint": "split:train,..."},
        checkpoint={"name": "all-MiniLM-L6-v2", "fingerprint": "0123"},
        code="00112233aabbccdd",
        config_sha256="44556677" * 8,
        restored_from=1,
        files={"weights": {"bytes": 1, "mtime_ns": 1, "sha256": ""}},
    )
    code, out, _ = call("versions", config)
    assert code == 0
    assert out.splitlines() == [
        "1  2026-01-02T03:04:05+00:00  run-7",
        f"     folder      {config.parent}/serving/tiny/1",
        "2  2026-01-03T03:04:05+00:00  run-8  newest",
        "     damaged     weights is gone",
        "     content of  version 1, by a rollback",
        "     metrics     accuracy 0.95 (before: 0.9)",
        "     data        span 3, /data/trec",
        "     checkpoint  all-MiniLM-L6-v2 0123",
        "     hashes      code 00112233aabb, config 445566774455",
        f"     folder      {config.parent}/serving/tiny/2",
    ]


def test_versions_as_json_holds_push_json_without_its_bulk(call, config):
    add_version(config, 1, run_id="run-7", metrics={"accuracy": 0.95}, files={}, config={"name": "tiny"})
    code, out, _ = call("versions", config, "--json")
    folder = f"{config.parent}/serving/tiny/1"
    told = {"run_id": "run-7", "metrics": {"accuracy": 0.95}, "version": 1, "path": folder, "damage": None}
    assert (code, json.loads(out)) == (0, [told])


def test_promote_puts_a_version_on_top_of_its_own_or_of_another_folder(call, config):
    add_version(config, 1)
    add_version(config, 2)
    home = config.parent / "serving" / "tiny"
    code, out, _ = call("promote", config, 1)
    assert (code, out) == (0, f"version 3 has the content of version 1: {home}/3\n")
    production = config.parent / "production"
    code, out, _ = call("promote", config, 2, "--to", production)
    assert (code, out) == (0, f"version 1 has the content of version 2: {production}/tiny/1\n")
    assert (production / "tiny/1/saved_model.pb").read_bytes() == b"model 2"
    _, out, _ = call("versions", config, "--set", f"push.serving_dir={production}")
    assert f"     content of  version 2 of {config.parent}/serving, promoted" in out.splitlines()
    code, _, err = call("promote", config, 9)
    assert (code, err) == (2, f"error: {home}: there is no version 9 (served now: 1, 2, 3)\n")


def test_prune_removes_all_but_the_newest_and_a_dry_run_nothing(call, config):
    for number in (1, 2, 3, 4):
        add_version(config, number)
    home = config.parent / "serving" / "tiny"
    assert call("prune", config, "--keep", 2, "--dry-run") == (0, "would be removed: 1, 2\n", "")
    assert (home / "1").is_dir()
    assert call("prune", config, "--keep", 2) == (0, "removed: 1, 2\n", "")
    assert sorted(p.name for p in home.iterdir() if p.name.isdigit()) == ["3", "4"]
    assert call("prune", config) == (0, "removed: none\n", "")  # push.keep is 5
    assert call("prune", config, "--keep", 0)[0] == 2


def test_versions_of_a_model_that_was_never_pushed(call, config):
    code, out, _ = call("versions", config)
    assert (code, out) == (0, f"{config.parent}/serving/tiny: nothing has been pushed yet\n")


def tokenized(call, *arguments: object) -> tuple[int, list[list[str]], list[str]]:
    """Exit code, the rows of the table, and the lines below it."""
    code, out, err = call("tokenize", *arguments)
    assert err == ""
    lines = out.splitlines()
    return code, [line.split() for line in lines[1:-2]], lines[-2:]


def test_tokenize_shows_the_tokens_of_the_graph_and_of_transformers(call, project):
    code, table, told = tokenized(call, project, "The cat?")
    assert code == 0
    assert table == [
        ["0", "[CLS]", "2", "0", "[CLS]", "2", "0"],
        ["1", "the", "5", "0", "the", "5", "0"],
        ["2", "cat", "17", "0", "cat", "17", "0"],
        ["3", "?", "12", "0", "?", "12", "0"],
        ["4", "[SEP]", "3", "0", "[SEP]", "3", "0"],
    ]
    assert told == [
        "Nothing was cut: transform.max_length is 32.",
        "The graph and transformers agree on every token.",
    ]


def test_tokenize_cleans_the_text_as_the_model_does(call, project):
    own = "transform.text=own_parts.cleaning.without_markup"
    cleaned = tokenized(call, project, "<i>The</i> &nbsp; cat?", "--set", own)
    assert cleaned == tokenized(call, project, "The cat?")


def test_tokenize_cuts_a_pair_and_types_its_texts(call, project):
    options = ["--set", "data.text_pair=other", "--set", "transform.max_length=5", "--json"]
    code, out, _ = call("tokenize", project, "the cat is old", "--pair", "dog", *options)
    told = json.loads(out)
    assert (code, told["equal"], told["max_length"], told["whole"]) == (0, True, 5, 8)
    assert told["graph"] == told["transformers"]
    assert [(token["token"], token["type"]) for token in told["graph"]] == [
        ("[CLS]", 0),
        ("the", 0),
        ("[SEP]", 0),
        ("dog", 1),
        ("[SEP]", 1),
    ]


def test_tokenize_marks_what_differs_and_exits_with_1(call, project, monkeypatch):
    monkeypatch.setitem(FAMILIES, "wordpiece", FAULTY_FAMILY)
    monkeypatch.setenv("COLUMNS", "60")
    code, table, told = tokenized(call, project, "cat 7", "--set", "transform.max_length=4")
    assert code == 1
    assert table[2] == ["2", "8", "60", "0", "7", "59", "0", "✗"]
    assert [row[-1] for row in table].count("✗") == 1
    assert told[1] == "The graph and transformers differ at 1 of 4 places."


def test_tokenize_reads_a_text_from_stdin_without_its_last_line_end(call, project, monkeypatch):
    for given, texts in ((b"the\ncat\n", ["the", "cat"]), (b"the c\xffat\r\n", ["the", "cat"]), (b"", [])):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(given)))
        code, table, _ = tokenized(call, project, "-")
        assert (code, [row[1] for row in table]) == (0, ["[CLS]", *texts, "[SEP]"])


@pytest.mark.parametrize(
    ("arguments", "code", "reason"),
    [
        (["a", "--pair", "b"], 2, "--pair: the config has no data.text_pair"),
        (
            ["a", "--set", "data.text_pair=other"],
            2,
            "--pair is missing: the config's rows have a second text",
        ),
        (
            ["-", "--pair", "-", "--set", "data.text_pair=other"],
            2,
            "--pair -: stdin is the first text already",
        ),
        (["a", "--set", "model.checkpoint.path=/nope"], 2, "model.checkpoint.path: no folder at /nope"),
        ([], 2, "Missing argument 'TEXT'"),
    ],
)
def test_tokenize_says_what_is_wrong_with_the_call(call, project, arguments, code, reason):
    ended, out, err = call("tokenize", project, *arguments)
    assert (ended, out) == (code, "")
    assert err.startswith(f"error: {reason}")


def test_rollback_puts_the_version_before_back_as_the_newest(call, config):
    add_version(config, 1)
    add_version(config, 2)
    code, out, _ = call("rollback", config)
    folder = config.parent / "serving" / "tiny" / "3"
    assert (code, out) == (0, f"version 3 has the content of version 1: {folder}\n")
    assert (folder / "saved_model.pb").read_bytes() == b"model 1"


def test_rollback_keeps_as_many_versions_as_the_config_says(call, config):
    add_version(config, 1)
    add_version(config, 2)
    assert call("rollback", config, "--set", "push.keep=2")[0] == 0
    left = sorted(p.name for p in (config.parent / "serving" / "tiny").iterdir() if p.name.isdigit())
    assert left == ["2", "3"]


def test_rollback_without_an_earlier_version_exits_with_2(call, config):
    add_version(config, 1)
    code, _, err = call("rollback", config)
    assert code == 2
    assert "nothing to roll back to" in err


def test_run_with_a_bad_config_exits_with_2_and_ends_with_json(call, config):
    code, out, err = call("run", config, "--set", "train.bogus=1", "--json")
    told = json.loads(out.splitlines()[-1])
    assert code == 2
    assert (told["status"], told["pushed"], told["nodes"]) == ("failed", False, [])
    assert "unknown key 'train.bogus'" in told["reason"]
    assert "unknown key 'train.bogus'" in err


def test_run_without_the_data_folder_exits_with_2_before_anything_is_trained(call, config):
    code, out, err = call("run", config, "--root", config.parent / "runs", "--json")
    assert code == 2
    assert json.loads(out.splitlines()[-1])["reason"].startswith(
        f"data.path: no folder at {config.parent}/data;"
    )
    assert "Traceback" not in out + err
    [log] = (config.parent / "runs" / "tiny" / "logs").glob("*.log")
    assert "Traceback" in log.read_text()


def test_run_while_another_run_holds_the_pipeline_is_refused(call, config):
    root = config.parent / "runs"
    with run_lock.hold(root / "tiny" / ".lock", "run-1", False, print):
        code, _, err = call("run", config, "--root", root, "--json")
    assert code == 1
    assert "(run run-1) is running this pipeline; wait for it, or add --wait" in err


@pytest.mark.parametrize(
    ("missing", "reason"),
    [
        ("data/schema.pbtxt", "data.schema: no file at {folder}/data/schema.pbtxt"),
        ("data/labels.txt", "{folder}/data/labels.txt: no such label list; set data.label_list to a file"),
        ("encoder", "model.checkpoint.path: no folder at {folder}/encoder"),
    ],
)
def test_run_names_the_input_that_is_not_there(call, project, missing, reason):
    path = project.parent / missing
    path.unlink() if path.is_file() else shutil.rmtree(path)
    code, _, err = call("run", project, "--root", project.parent / "runs", "--json")
    assert code in (1, 2)
    assert err.startswith(f"error: {reason.format(folder=project.parent)}")


def test_import_keeps_a_published_test_file_and_tells_of_texts_in_both(call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = [f"this is text number {i},{'ham' if i % 2 else 'spam'}" for i in range(400)]
    for name, part in (("train.csv", rows[:350]), ("test.csv", rows[340:])):
        Path(name).write_text("\n".join(["text,label", *part]) + "\n")
    columns = ["--text", "text", "--label", "label", "--out", "mine"]
    code, out, err = call("import", "train.csv", "--test", "test.csv", *columns)
    assert (code, err) == (0, "")
    assert "of 410 rows read, left out: 10 rows whose text is in another, published split\n" in out
    assert "  rows of published splits: test 60; a tenth of the other rows" in out


def test_import_writes_a_dataset_and_tells_what_to_do_next(call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = [f"this is text number {i},{'ham' if i % 2 else 'spam'}" for i in range(400)]
    (tmp_path / "mine.csv").write_text("\n".join(["body,kind", *rows, rows[0]]) + "\n")
    code, out, err = call("import", "mine.csv", "--text", "body", "--label", "kind", "--out", "mine")
    assert (code, err) == (0, "")
    assert "mine: 400 rows (" in out
    assert "of 401 rows read, left out: 1 exact duplicates" in out
    [config] = Path("mine").glob("*.yaml")
    assert out.endswith(f"Next: python runner_local.py run {config}\n")
    assert call("config", config)[0] == 0


def test_next_line_of_an_import_can_be_pasted(call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my rows.csv").write_text(
        "text,label\n" + "".join(f"row {i},{'ab'[i % 2]}\n" for i in range(200))
    )
    code, out, _ = call("import", "my rows.csv", "--text", "text", "--label", "label", "--out", "it's $HOME")
    command = out.splitlines()[-1].removeprefix("Next: ")
    assert (code, shlex.split(command)) == (
        0,
        ["python", "runner_local.py", "run", "it's $HOME/it_s_home.yaml"],
    )
    assert subprocess.run(f"ls {command.split(' run ')[1]}", shell=True, check=False).returncode == 0


def test_import_tells_how_files_were_read_and_takes_the_users_word(call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = [f"café {i};{('Yes', 'yes', 'no')[i % 3]};web" for i in range(300)]
    (tmp_path / "rows.csv").write_text("\n".join(["text;label;channel", *rows]), encoding="utf-16")
    columns = ["rows.csv", "--text", "text", "--label", "label", "--extra", "channel"]
    code, out, _ = call("import", *columns, "--out", "found_out")
    assert code == 0
    assert "  rows.csv: read as UTF-16-LE\n  rows.csv: read with ';' as the column separator\n" in out
    assert (
        "  warning: labels that look the same are separate classes: 'Yes' (100 rows), 'yes' (100 rows)" in out
    )
    assert "    - columns: [channel]\n" in (tmp_path / "found_out" / "found_out.yaml").read_text()
    named = ["--delimiter", ";", "--encoding", "utf-16", "--merge-labels", "--out", "named"]
    code, out, _ = call("import", *columns, *named)
    assert code == 0
    assert "taken as the separator" not in out
    assert "  merged into 'Yes' (100 rows): 'yes' (100 rows)\n" in out


@pytest.mark.parametrize(
    ("name", "content", "options", "code"),
    [
        # What the command line names is not there, or cannot be meant: wrong usage.
        ("rows.csv", "text,kind\na,b\n", [], 2),
        ("rows.tsv", "text\tkind\na\tb\n", [], 2),
        ("rows.jsonl", '{"text": "a", "kind": "b"}\n', [], 2),
        ("rows.xyz", "text,label\na,b\n", [], 2),
        ("rows.csv", "text,label\na,b\n", ["--delimiter", "::"], 2),
        ("rows.csv", "text,label\na,b\n", ["--encoding", "klingon"], 2),
        ("rows.jsonl", '{"text": "a", "label": "b"}\n', ["--delimiter", ";"], 2),
        ("rows.csv", "text,label\na,b\n", ["--name", "Not A Name"], 2),
        ("rows.csv", "text,label\na,b\n", ["--extra", "text"], 2),
        ("rows.csv", "text,label\na,b\n", ["--split-column", "set"], 2),
        ("rows.csv", "text,label\na,b\n", ["--test", "missing.csv"], 2),
        # The command line is right and the content cannot be used: bad data.
        ("rows.csv", "", [], 1),
        ("rows.csv", "text,label\n", [], 1),
        ("rows.tsv", "", [], 1),
        ("rows.jsonl", "", [], 1),
        ("rows.parquet", "", [], 1),
        ("rows.parquet", "no such thing", [], 1),
        ("rows.csv", 'text,label\n"a,b\n', [], 1),
        ("rows.csv", "text,label\na,b,c\n", [], 1),
        ("rows.csv", "text,label,label\na,b,c\n", [], 1),
        ("rows.csv", b"text,label\ncaf\xe9,b\n", [], 1),
        ("rows.csv.gz", "no gzip", [], 1),
        ("rows.jsonl", "{\n", [], 1),
        ("rows.jsonl", '{"text": "a", "label": "b", "label": "c"}\n', [], 1),
        ("rows.jsonl", '{"text": "a", "label": "b"}\n{"text": "a"}\n', [], 1),
        ("rows.csv", "text,label\na,\n", [], 1),
        ("rows.csv", "text,label\na,1.5\nb,2.5\n", [], 1),
        ("rows.csv", "text,label\na,b\n", [], 1),
    ],
)
def test_import_exits_with_2_for_wrong_usage_and_with_1_for_bad_data(
    call, tmp_path, name, content, options, code
):
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    columns = ["--text", "text", "--label", "label", "--out", tmp_path / "out"]
    ended, out, err = call("import", tmp_path / name, *columns, *options)
    assert (ended, out) == (code, ""), err
    assert err.startswith("error: ")
    assert len(err.splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_folders_that_hold_no_texts_are_bad_data(call, tmp_path):
    columns = ["--text", "text", "--label", "label", "--out", tmp_path / "out"]
    (tmp_path / "data").mkdir()
    assert call("import", tmp_path / "data", *columns)[0] == 1
    (tmp_path / "data" / "pos").mkdir()
    assert call("import", tmp_path / "data", *columns)[0] == 1
    assert call("import", tmp_path / "data" / "neg", *columns)[0] == 2


def test_terminal_without_the_characters_of_a_name_ends_no_command(tmp_path):
    name = os.fsdecode("caf\u00e9".encode() + b"\xff.csv")
    (tmp_path / name).write_text("text,label\n" + "".join(f"row {i},{'ab'[i % 2]}\n" for i in range(200)))
    command = [sys.executable, str(PROJECT_DIR / "runner_local.py"), "import", name]
    for out, encoding in (("a\u00e9", "ascii"), (os.fsdecode(b"\xff"), "utf-8:strict")):
        done = subprocess.run(
            [*command, "--text", "text", "--label", "label", "--out", out],
            cwd=tmp_path,
            env={**os.environ, "PYTHONIOENCODING": encoding},
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert b"Next: python runner_local.py run" in done.stdout


def test_import_of_a_file_that_is_not_there_exits_with_2(call, tmp_path):
    code, _, err = call("import", "no.csv", "--text", "a", "--label", "b", "--out", tmp_path / "out")
    assert code == 2
    assert err.startswith("error: no.csv")


def test_commands_other_than_run_and_early_errors_import_nothing_heavy(project):
    """One process for all: what it has imported at its end, each of them can at most have imported."""
    rows = project.parent / "mine.csv"
    rows.write_text("text,label\n" + "".join(f"row {i},{'ab'[i % 2]}\n" for i in range(400)))
    calls = [
        ["--help"],
        ["config", str(project)],
        ["config", "--explain"],
        ["config", "--schema"],
        ["versions", str(project)],
        ["rollback", str(project)],
        ["promote", str(project), "1"],
        ["prune", str(project), "--dry-run"],
        ["import", str(rows), "--text", "text", "--label", "label", "--out", str(project.parent / "mine")],
        ["run", str(project), "--set", "bogus=1"],
        ["tokenize", str(project), "a", "--pair", "b"],
        ["run", str(project), "--set", "data.path=no", "--root", str(project.parent / "runs")],
        ["run", str(project), "--set", "data.label_column=no", "--root", str(project.parent / "runs")],
    ]
    code = f"""
import sys
from pipeline.local import cli
codes = []
for arguments in {calls!r}:
    sys.argv = ["runner_local.py", *arguments]
    try:
        cli.main()
    except SystemExit as ended:
        codes.append(ended.code or 0)
print(codes, [m for m in ("tensorflow", "tfx", "apache_beam", "transformers", "pandas") if m in sys.modules])
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=PROJECT_DIR, check=False
    )
    assert done.stdout.splitlines()[-1] == "[0, 0, 0, 0, 0, 2, 2, 0, 0, 2, 2, 2, 2] []", done.stderr

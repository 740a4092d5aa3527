"""The documentation says what is so: its commands are understood, its Python runs, its links lead somewhere."""

import ast
import re
from importlib import import_module

import numpy as np
import pytest

from ispbench.cli.discovery import find_verb
from ispbench.cli.parsing import parse
from ispbench.config import compose, compose_all
from ispbench.errors import UserError
from ispbench.evaluation.evaluate import Result
from tests.conftest import REPOSITORY, TINY_METAISP, TINY_TRAINING, ispbench
from tests.data.trees import pairs, write
from tests.docs import DOCS, PAGES, code_blocks, commands, save_files

README = REPOSITORY / "README.md"


def shown(value):
    """Names a case by its page and its command."""
    return " ".join(value) if isinstance(value, list) else value.relative_to(REPOSITORY).as_posix()


@pytest.mark.parametrize("page, words", [(page, words) for page in PAGES for words in commands(page)], ids=shown)
def test_a_command_is_understood(page, words, tmp_path, monkeypatch):
    save_files(page, tmp_path)  # among them what --config-dir names
    monkeypatch.chdir(tmp_path)
    try:
        assert understood(words)
    except UserError as error:
        if "needs a package that is missing" in str(error):
            pytest.skip(str(error))
        raise


def understood(words):
    """What the command line reads out of the words: configurations, or the settings of a verb."""
    if {"--help", "--cfg"} & set(words):
        return words
    if words and re.fullmatch(r"[a-z][a-z-]*", words[0]):
        verb, rest = find_verb(words)
        settings = parse(import_module(verb.module).Settings, rest, verb.name)
        if overrides := getattr(settings, "overrides", []):
            compose(overrides)
        return settings
    try:
        return compose_all(words)
    except Exception as error:
        from ispbench.config import explain

        raise UserError(explain(error)) from error


def test_the_commands_are_found():
    assert {"--help", "leaderboard"} <= {word for words in commands(README) for word in words}
    slurm = next(words for words in commands(DOCS / "experiments.md") if "launcher=submitit_slurm" in words)
    assert slurm[0] == "ablation=bases"
    assert slurm[-1] == 'hydra.launcher.setup=["module load cuda"]'


@pytest.mark.parametrize("words", [["model=metaips"], ["data.rot=x"], ["evaluat", "weights=x"], ["runs", "stats=x"]])
def test_a_wrong_command_is_not_understood(words):
    with pytest.raises(UserError, match="Unknown"):
        understood(words)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """What the pages find where they are run: ``run/``, a finished training, and ``pairs/``."""
    folder = tmp_path_factory.mktemp("reader")
    for number, (mosaic, target) in enumerate(pairs(9, np.random.default_rng(0))):
        write(folder / "pairs" / ("train", "val", "test")[number % 3], str(number), mosaic, target)
    data = ["data=folder", "data.root=pairs", "data.black_level=64", "data.white_level=1023"]
    data += ["data.batch_size=2", "data.crop=32"]
    model = [*TINY_METAISP[:-1], "model.num_bases=4"]
    done = ispbench(*model, *data, *TINY_TRAINING, "hydra.run.dir=run", "test=false", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.parametrize("page", [README, DOCS / "python.md"], ids=shown)
def test_the_python_of_a_page_runs_from_top_to_bottom(page, folder, monkeypatch):
    monkeypatch.chdir(folder)
    names = {}
    for block in code_blocks(page):
        if block.language == "python":
            exec(compile(block.text, page.name, "exec"), names)
    assert isinstance(names["result"], Result)
    assert list(names["result"].scores["image"]) == ["2", "5", "8"]
    assert 0 < names["result"].summary["psnr"] < 60
    if page != README:
        assert len(set(names["scores"].values())) == 4
        assert names["result"].summary["mae"] == pytest.approx(names["result"].scores["mae"].mean(), rel=1e-5)


@pytest.mark.parametrize("page", PAGES, ids=shown)
def test_python_imports_what_there_is(page, tmp_path, monkeypatch):
    save_files(page, tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    for block in code_blocks(page):
        if block.language == "python":
            imports = [node for node in ast.parse(block.text).body if isinstance(node, ast.Import | ast.ImportFrom)]
            exec(compile(ast.Module(imports, []), page.name, "exec"), {})


@pytest.mark.parametrize("page", PAGES, ids=shown)
def test_links_lead_to_files(page):
    links = re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text())
    missing = [link for link in links if "://" not in link and not (page.parent / link.strip()).exists()]
    assert not missing

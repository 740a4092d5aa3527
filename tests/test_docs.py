"""The documentation says what is so: its commands are understood, its Python runs, its links lead somewhere."""

from importlib import import_module

import pytest

from ispbench.cli.discovery import find_verb
from ispbench.cli.main import _names_verb
from ispbench.cli.parsing import parse
from ispbench.config import compose, compose_all
from ispbench.errors import UserError
from tests.conftest import REPOSITORY
from tests.docs import PAGES, commands, save_files


def name(page):
    return page.relative_to(REPOSITORY).as_posix()


COMMANDS = [(page, words) for page in PAGES for words in commands(page)]


def test_there_are_commands_to_check():
    assert len(COMMANDS) > 100
    assert ["evaluate", "weights=RUN", "protocol=aligned-gt-raw"] in [words for _, words in COMMANDS]


@pytest.mark.parametrize("page, words", COMMANDS, ids=lambda value: None if isinstance(value, list) else name(value))
def test_a_command_of_the_documentation_is_understood(page, words, tmp_path, monkeypatch):
    save_files(page, tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    try:
        if _names_verb(words):
            verb, rest = find_verb(words)
            settings = parse(import_module(verb.module).Settings, rest, verb.name)
            overrides = getattr(settings, "overrides", [])
            assert not overrides or compose(overrides)
        elif words and not {"--help", "-h"} & set(words):
            assert compose_all(words) or "--cfg" in words
    except UserError as error:
        if "needs a package that is missing" in str(error):
            pytest.skip(str(error))
        raise

"""The grammar of arguments, on a verb that takes everything."""

from dataclasses import MISSING, dataclass
from pathlib import Path

import pytest

from ispbench.cli.arguments import overrides, positional, setting
from ispbench.cli.parsing import parse
from ispbench.errors import UserError


@dataclass
class Everything:
    files: list[Path] = positional("FILE", "what to read")
    tile: int | None = setting(None, "a side", at_least=32)
    out_dir: Path = setting(Path("out"), "a folder")
    share: float = setting(0.5, "a share", at_least=0)
    format: str = setting("png", "of the results", choices=("png", "jpg"))
    overwrite: bool = setting(False, "replace")
    seed: int = setting(0, "of the search", dashes_only=True)
    list_: bool = setting(False, "list")
    overrides: list[str] = overrides()


@dataclass
class Strict:
    name: str = positional("NAME", "the run")
    limit: int = setting(MISSING, "how many")
    other: str | None = positional("OTHER", "another run", default=None)

    def __post_init__(self):
        if self.limit == 13:
            raise UserError("limit=13 is unlucky.")


def read(*words):
    return parse(Everything, words, "everything")


def test_nothing_typed_gives_the_defaults():
    assert read() == Everything(files=[])


@pytest.mark.parametrize(
    "words", [["tile=64"], ["--tile", "64"], ["--tile=64"], ["tile=32", "--tile", "64"], ["a", "tile=64"]]
)
def test_the_spellings_of_a_setting(words):
    assert read(*words).tile == 64


@pytest.mark.parametrize("words", [["--out-dir", "x y"], ["--out_dir=x y"], ["out_dir=x y"], ["out-dir=x y"]])
def test_dashes_and_underscores_are_the_same(words):
    assert read(*words).out_dir == Path("x y")


@pytest.mark.parametrize(
    "words, value",
    [
        (["--overwrite"], True),
        (["--overwrite", "true"], True),
        (["--overwrite", "False"], False),
        (["overwrite=TRUE"], True),
        (["--overwrite", "a.png"], True),
        (["--overwrite", "--overwrite=false"], False),
    ],
)
def test_the_spellings_of_a_switch(words, value):
    settings = read(*words)
    assert settings.overwrite is value
    assert settings.files == [Path("a.png")] * ("a.png" in words)


def test_every_type_and_the_name_that_python_needs():
    settings = read("share=1e-2", "format=jpg", "--list", "tile=null")
    assert (settings.share, settings.format, settings.list_, settings.tile) == (0.01, "jpg", True, None)


def test_words_settings_and_overrides_mix():
    settings = read("a.png", "data=zrr", "tile=64", "b.png", "model.width=8", "+loss.x=1", "~optimizer", "--seed", "-3")
    assert settings.files == [Path("a.png"), Path("b.png")]
    assert settings.overrides == ["data=zrr", "model.width=8", "+loss.x=1", "~optimizer"]
    assert (settings.tile, settings.seed) == (64, -3)


def test_a_setting_with_dashes_leaves_its_name_to_the_configuration():
    settings = read("seed=4", "--seed=5")
    assert settings.overrides == ["seed=4"]
    assert settings.seed == 5


def test_a_file_that_exists_is_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a=b.png").touch()
    assert read("a=b.png", "--", "tile=64", "--out").files == [Path("a=b.png"), Path("tile=64"), Path("--out")]


@pytest.mark.parametrize(
    "words, message",
    [
        (["tile=big"], "tile is a whole number of at least 32, not 'big'."),
        (["tile=16"], "tile is a whole number of at least 32, not '16'."),
        (["tile="], "tile is a whole number of at least 32, not ''."),
        (["share=nan"], "share is a number of at least 0, not 'nan'."),
        (["share=-1"], "share is a number of at least 0, not '-1'."),
        (["out_dir="], "out_dir is a path, not ''."),
        (["overwrite=maybe"], "overwrite is true or false, not 'maybe'."),
        (["format=jpeg"], "format is one of png, jpg, not 'jpeg'. Did you mean 'jpg'?"),
        (["--tile"], "--tile needs a value: --tile N."),
        (["--tile", "--overwrite"], "--tile needs a value: --tile N."),
        (["--tils", "64"], "Unknown argument '--tils' of ispbench everything. Did you mean '--tile'?"),
        (["-m"], "Unknown argument '-m' of ispbench everything."),
        (["tils=64"], "Unknown setting 'tils' of ispbench everything. Did you mean 'tile'?"),
        (["dta=zrr"], "Unknown setting 'dta' of ispbench everything. Did you mean 'data'?"),
        (["modle.width=8"], "Unknown setting 'modle' of ispbench everything. Did you mean 'model'?"),
    ],
)
def test_a_mistake_is_one_sentence(words, message):
    with pytest.raises(UserError) as error:
        read(*words)
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


def test_single_words_are_taken_in_order():
    assert parse(Strict, ["a", "limit=3"], "strict") == Strict("a", 3, None)
    assert parse(Strict, ["limit=3", "a", "b"], "strict") == Strict("a", 3, "b")


@pytest.mark.parametrize(
    "words, message",
    [
        (["limit=3"], "Say NAME: the run; `ispbench strict --help` tells more."),
        (["a"], "Say limit=N: how many."),
        (["a", "b", "limt", "limit=3"], "Unknown argument 'limt' of ispbench strict. Did you mean 'limit'?"),
        (["a", "data=zrr", "limit=3"], "Unknown setting 'data' of ispbench strict. It takes limit."),
        (["a", "limit=13"], "limit=13 is unlucky."),
    ],
)
def test_what_is_missing_or_too_much_is_named(words, message):
    with pytest.raises(UserError) as error:
        parse(Strict, words, "strict")
    assert str(error.value).startswith(message)

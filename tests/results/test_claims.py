import subprocess
import sys

import pytest

from ispbench.errors import UserError
from ispbench.results.claims import claim, folder_of, in_use, remember_folder, settled

KEY = "0123456789abcdef"


@pytest.mark.parametrize(
    "overwrite, status, done",
    [
        ("only-missing", "finished", True),
        ("only-missing", "failed", False),
        ("only-missing", "interrupted", False),
        ("only-missing", "running", False),
        ("never", "finished", True),
        ("never", "failed", True),
        ("never", "interrupted", True),
        ("never", "running", False),
        ("always", "finished", False),
    ],
)
def test_what_needs_no_further_run(overwrite, status, done):
    assert settled({"status": status}, overwrite) == done
    assert not settled(None, overwrite)


def test_an_unknown_word_names_the_valid_ones():
    with pytest.raises(UserError, match="only-missing, never, always"):
        settled(None, "sometimes")


def test_where_a_training_lies_is_remembered_while_the_folder_is_there(tmp_path):
    folder = tmp_path / "run"
    assert folder_of(tmp_path, KEY) is None
    folder.mkdir()
    remember_folder(tmp_path, KEY, folder)
    assert folder_of(tmp_path, KEY) == folder
    folder.rmdir()
    assert folder_of(tmp_path, KEY) is None


@pytest.mark.parametrize("text", ['{"folder":', "[]", "{}", ""])
def test_a_broken_note_counts_as_none(text, tmp_path):
    remember_folder(tmp_path, KEY, tmp_path)
    next((tmp_path / "claims").glob("*.json")).write_text(text)
    assert folder_of(tmp_path, KEY) is None


def test_one_process_holds_a_key_and_a_killed_one_does_not(tmp_path):
    code = (
        "import time; from pathlib import Path; from ispbench.results.claims import claim\n"
        f"with claim(Path({str(tmp_path)!r}), {KEY!r}) as free:\n"
        "    print(free, flush=True); time.sleep(60)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline().strip() == "True"
        assert in_use(tmp_path, KEY)
        with claim(tmp_path, KEY) as free:
            assert not free
    finally:
        process.kill()
        process.communicate()
    assert not in_use(tmp_path, KEY)
    with claim(tmp_path, KEY, wait=True) as free:
        assert free
        assert in_use(tmp_path, KEY)
    assert not in_use(tmp_path, KEY)


def test_a_place_that_cannot_be_written_to_is_one_sentence(tmp_path):
    (tmp_path / "outputs").write_text("a file")
    with pytest.raises(UserError, match=r"set paths\.outputs"), claim(tmp_path / "outputs", KEY):
        pass

import pytest

from ispbench.data.cache import cache_folder
from ispbench.errors import UserError


def test_the_cache_of_a_user_without_a_home_is_asked_for(monkeypatch, tmp_path):
    def nobody(_):
        raise KeyError("no such user")

    for name in ("HOME", "XDG_CACHE_HOME", "ISPBENCH_CACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pwd.getpwuid", nobody)
    with pytest.raises(UserError, match=r"no home folder to keep the cache in; set ISPBENCH_CACHE to a folder"):
        cache_folder()
    monkeypatch.setenv("ISPBENCH_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path
    assert cache_folder("elsewhere").name == "elsewhere"

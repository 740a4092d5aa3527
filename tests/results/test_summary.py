import pytest

from ispbench.results.differences import differences
from ispbench.results.summary import reason


@pytest.mark.parametrize(
    "error, line",
    [
        (None, ""),
        ("Set data.root.\nThen again.", "Set data.root."),
        ('Traceback (most recent call last):\n  File "x"\nValueError: no number\n', "ValueError: no number"),
    ],
)
def test_the_line_that_says_what_happened(error, line):
    assert reason(error) == line


def test_keys_that_one_configuration_lacks_differ():
    assert differences({"a": {"b": 1, "c": 2}}, {"a": {"b": 1}, "d": []}) == {"a.c": (2, "-"), "d": ("-", [])}

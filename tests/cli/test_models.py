import pytest

from ispbench.cli.main import dispatch
from ispbench.errors import UserError
from ispbench.models.build import build_model


def test_models_are_listed_with_their_size(capsys):
    dispatch(["models", "lan", "c*", "size=256x256"])
    printed = capsys.readouterr().out
    rows = {
        line.split()[0]: line.split()
        for line in printed.splitlines()
        if (line.split() and "," in line) or "0.000" in line
    }
    assert list(rows) == ["lan", "classical", "csanet"]
    model = build_model("lan")
    assert rows["lan"][1] == f"{sum(value.numel() for value in model.net.parameters()):,}"
    dispatch(["models", "lan", "size=512x256"])
    doubled = next(line.split() for line in capsys.readouterr().out.splitlines() if line.strip().startswith("lan"))
    assert float(doubled[3]) == pytest.approx(2 * float(rows["lan"][3]), abs=0.002)
    assert "256x256" in printed


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["metaips"], "There is no model 'metaips'. Did you mean 'metaisp'?"),
        (["--size", "448"], None),
        (["size=447x448"], "size has the form HEIGHTxWIDTH with even sides"),
        (["size=big"], "not 'big'"),
    ],
)
def test_a_mistake_is_one_sentence(arguments, message):
    if message is None:
        dispatch(["models", "lan", *arguments])
        return
    with pytest.raises(UserError, match=message.replace("?", r"\?")):
        dispatch(["models", *arguments])

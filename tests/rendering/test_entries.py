import pytest

from ispbench import pretrained
from ispbench.rendering.entries import DEFAULT, Entry, entries_of


@pytest.mark.parametrize(
    "words, expected",
    [
        (["model=lan", "weights=a"], [Entry("lan", "a")]),
        (["weights=a", "model=lan"], [Entry("lan", "a")]),
        (["weights=a", "weights=b"], [Entry(None, "a"), Entry(None, "b")]),
        (["model=lan", "weights=a", "weights=b"], [Entry("lan", "a"), Entry(None, "b")]),
        (["model=lan", "weights=a", "model=unet", "weights=b"], [Entry("lan", "a"), Entry("unet", "b")]),
        (["model=classical", "weights=a"], [Entry("classical"), Entry(None, "a")]),
        (["weights=a", "model=classical"], [Entry(None, "a"), Entry("classical")]),
        (["model.width=8", "model=metaisp", "weights=a"], [Entry("metaisp", "a", ["model.width=8"])]),
        (
            ["model=metaisp", "+model.x=1", "weights=a", "model=metaisp", "model.width=4", "weights=b"],
            [Entry("metaisp", "a", ["+model.x=1"]), Entry("metaisp", "b", ["model.width=4"])],
        ),
    ],
)
def test_weights_and_options_belong_to_the_model_beside_them(words, expected):
    assert entries_of([*words, "data=zrr", "seed=1"]) == (expected, ["data=zrr", "seed=1"])


def test_without_a_model_shipped_weights_render():
    (entry,), _ = entries_of(["data=zrr"])
    assert (entry.name, entry.weights) == DEFAULT
    assert pretrained.find(entry.weights, entry.name)

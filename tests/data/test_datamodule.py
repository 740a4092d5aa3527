from hydra.utils import instantiate

from ispbench.config import compose
from ispbench.data.datamodule import PairedDataModule


def built(*overrides):
    return instantiate(compose(overrides).data)


def test_where_the_pairs_lie_is_no_part_of_their_identity(tmp_path):
    first = built("data=zrr", "data.root=/a", "data.pack=never")
    second = built("data=zrr", f"data.root={tmp_path}", f"data.cache={tmp_path}", "data.eval_batch_size=2")
    assert first.identity() == second.identity()


def test_what_a_training_sees_is():
    whole = built("data=zrr", "data.root=/a").identity()
    for change in ("data.crop=64", "data.batch_size=8", "data.white_level=1023", "data.on_error=skip", "data.cfa=GRBG"):
        assert built("data=zrr", "data.root=/a", change).identity() != whole, change


def test_identity_is_plain_values():
    identity = built("data=zrr", "data.root=/a").identity()
    assert identity["size"] == [448, 448]
    assert type(identity["size"]) is list


class Custom(PairedDataModule):
    places = (*PairedDataModule.places, "viewer")

    def __init__(self, sensor, gain=2.0, viewer=None, **options):
        super().__init__(black_level=0, white_level=1023, **options)

    def open(self, split):
        raise NotImplementedError


def test_settings_of_a_subclass_count_with_their_defaults():
    options = {"version": "c", "crop": None, "augment": False, "batch_size": 1, "eval_batch_size": 1}
    identity = Custom("imx", viewer="x", **options).identity()
    assert identity["sensor"] == "imx"
    assert identity["gain"] == 2.0
    assert identity["target_set"] == "original-gt"  # a default of the base class
    assert "viewer" not in identity
    assert Custom("imx", gain=2.0, **options).identity() == identity

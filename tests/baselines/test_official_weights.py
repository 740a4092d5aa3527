"""The authors' released checkpoints give the authors' output, on made input and on a real mosaic."""

import copy
import json
import zlib

import cv2
import numpy as np
import pytest
import torch

from ispbench.checkpoints import load_official, load_weights, read_state_dict
from ispbench.errors import UserError
from ispbench.models.build import build_model
from ispbench.models.recognize import recognize
from ispbench.raw.bayer import pack
from ispbench.raw.levels import normalize_raw
from tests.conftest import SHARED

TOLERANCE = 1e-5  # times the largest reference value, at least 1


def _cases():
    """Each released file with its vectors: (file, network, [(vector, position in it)])."""
    path = SHARED / "parity" / "extra.json"
    if not path.is_file():
        return [pytest.param(None, None, [], marks=pytest.mark.skip(reason="the released checkpoints are not here"))]
    cases = {}
    for key, entry in json.loads(path.read_text()).items():
        for position, file in enumerate(entry["weights"] if isinstance(entry["weights"], list) else ()):
            cases.setdefault((file, entry["key"]), []).append((key, entry["input"], position))
    return [pytest.param(*names, vectors, id=names[0].rpartition("/")[2]) for names, vectors in cases.items()]


def _net_inputs(model, given):
    if "recipe_input" in given:
        [(name, shape)] = given["recipe_input"].items()
        seed = zlib.crc32(f"ispbench:input:{name}".encode())
        random = np.random.Generator(np.random.PCG64(seed)).random(tuple(shape), dtype=np.float32)
        return (torch.from_numpy(random * np.float32(given["times"])),)
    crop = given["mosaic"]
    image = cv2.imread(str(SHARED / crop["file"]), cv2.IMREAD_UNCHANGED)
    rows, columns = (slice(*crop[side]) for side in ("rows", "cols"))
    dn = pack(image[rows, columns] // crop["divide_int"]).astype(np.float32)
    return model.net_inputs(torch.from_numpy(normalize_raw(dn, 63, 1020))[None])


@pytest.mark.shared
@pytest.mark.parametrize("file, network, vectors", _cases())
def test_a_released_checkpoint_gives_its_authors_output(file, network, vectors):
    model = load_official(network, SHARED / file)
    assert len(vectors) == 2  # made input and a real mosaic
    for key, given, position in vectors:
        reference = np.load(SHARED / "parity" / f"{key}.npy")[position]
        with torch.no_grad():
            output = model.net(*_net_inputs(model, given))[0].numpy()
        assert np.abs(output - reference).max() <= TOLERANCE * max(1, np.abs(reference).max())


@pytest.mark.shared
@pytest.mark.parametrize("file, network, vectors", _cases())
def test_a_released_checkpoint_is_recognized(file, network, vectors):
    found = recognize(read_state_dict(SHARED / file))
    assert found.name == network
    assert found.options == ({"deploy": True} if network == "mobileie" else {})


@pytest.mark.shared
def test_deployed_weights_ask_for_the_deployed_form(shared):
    file = shared / "weights" / "official" / "mobileie" / "zrr_best_slim.pkl"
    with pytest.raises(UserError, match=r"checkpoint of mobileie with model\.deploy=true; build the model so"):
        load_weights(build_model("mobileie"), file, "mobileie")
    deployed = build_model("mobileie", ["model.deploy=true"])
    load_weights(deployed, file, "mobileie")
    assert not torch.equal(deployed.net.head.weight1, copy.deepcopy(build_model("mobileie")).net.head.weight1)

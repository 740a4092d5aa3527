"""Reduces full reference vectors to those that ship: python tests/baselines/make_parity_vectors.py FOLDER."""

import gzip
import json
import sys
from pathlib import Path

import numpy as np

from ispbench.parity.vectors import reduce


def full_entries(folder):
    """The index of all full vectors with weights that anyone can make: key to entry."""
    index = json.loads((folder / "index.json").read_text())
    strong = {
        key: {**index[extra["key"]], "network": extra["key"], "recipe": "strong"}
        for key, extra in json.loads((folder / "extra.json").read_text()).items()
        if extra["weights"] == "strong recipe"
    }
    return index | strong


if __name__ == "__main__":
    source = Path(sys.argv[1])
    target = Path(__file__).resolve().parents[2] / "src" / "ispbench" / "parity"
    reduced = {key: reduce(key, entry, np.load(source / f"{key}.npy")) for key, entry in full_entries(source).items()}
    index = json.dumps({key: entry for key, (entry, _) in reduced.items()}).encode()
    (target / "index.json.gz").write_bytes(gzip.compress(index, mtime=0))
    np.savez_compressed(target / "samples.npz", **{key: sample for key, (_, sample) in reduced.items()})

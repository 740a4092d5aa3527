"""Reduces full reference vectors to those that ship: python tests/baselines/make_parity_vectors.py FOLDER."""

import gzip
import json
import sys
from pathlib import Path

import numpy as np

from ispbench.parity.vectors import reduce

source = Path(sys.argv[1])
target = Path(__file__).resolve().parents[2] / "src" / "ispbench" / "parity"
reduced = {
    key: reduce(key, entry, np.load(source / f"{key}.npy"))
    for key, entry in json.loads((source / "index.json").read_text()).items()
}
index = json.dumps({key: entry for key, (entry, _) in reduced.items()}).encode()
(target / "index.json.gz").write_bytes(gzip.compress(index, mtime=0))
np.savez_compressed(target / "samples.npz", **{key: sample for key, (_, sample) in reduced.items()})

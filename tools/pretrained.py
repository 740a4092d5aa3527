"""Makes the weights of a finished training a part of the package.

python -m tools.pretrained RUN photos-v1/one-camera     writes src/ispbench/pretrained/MODEL/photos-v1/one-camera.ckpt
"""

import sys
from pathlib import Path

from ispbench import pretrained
from ispbench.checkpoint_files import read, write
from ispbench.checkpoints import ABOUT, weights_file


def ship(run: Path, name: str) -> Path:
    """Writes the scored checkpoint of a run without what only a training needs; gives the file's place."""
    content = read(weights_file(run)).content
    path = Path(pretrained.__file__).parent / content[ABOUT]["model"] / f"{name}.ckpt"
    path.parent.mkdir(parents=True, exist_ok=True)
    write(path, {ABOUT: content[ABOUT], "state_dict": content["state_dict"]}, keep=False)
    return path


if __name__ == "__main__":
    print(ship(Path(sys.argv[1]), sys.argv[2]))

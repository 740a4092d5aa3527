"""Draws the picture of the README.

python -m tools.picture
"""

from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

import ispbench

PLACE = Path(__file__).resolve().parents[1] / "docs" / "images" / "render.jpg"
CAPTURES = ("coffee@imx219-2900K-iso100", "china@imx708-7500K-iso1095")  # of data=mini, which the weights have not seen
HEIGHT, GAP, LINE = 240, 6, 26  # pixels


def columns(raw: torch.Tensor, target: torch.Tensor) -> dict[str, torch.Tensor]:
    """The pictures of a row by their headings."""
    plain = torch.stack((raw[0, 0], raw[0, 1:3].mean(0), raw[0, 3])).clamp(0, 1) ** (1 / 2.2)
    found = {"RAW, white-balanced": plain}
    models = {"classical": ispbench.create_model("classical").eval()}
    models["MetaISP"] = ispbench.create_model("metaisp", weights="photos-v1/known-light")
    with torch.inference_mode():
        found |= {name: model(raw)[0].clamp(0, 1) for name, model in models.items()}
    return found | {"target": target}


def draw() -> None:
    """Writes the picture."""
    data = ispbench.load_data("mini", track="known-light")
    batches = dict(zip(data.source("test").names, data.evaluation_loader("test"), strict=True))
    pairs = [data.to_canonical(batches[name]) for name in CAPTURES]
    rows = [columns(pair["raw"], pair["target"][0]) for pair in pairs]
    strips = [[_scaled(picture) for picture in row.values()] for row in rows]
    width = sum(picture.width + GAP for picture in strips[0]) - GAP
    sheet = Image.new("RGB", (width, LINE + len(strips) * (HEIGHT + GAP) - GAP), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(16)
    for number, strip in enumerate(strips):
        left = 0
        for heading, picture in zip(rows[0], strip, strict=True):
            if number == 0:
                pen.text((left, 2), heading, "black", font)
            sheet.paste(picture, (left, LINE + number * (HEIGHT + GAP)))
            left += strips[0][0].width + GAP
    sheet.save(PLACE, quality=90)


def _scaled(picture: torch.Tensor) -> Image.Image:
    image = Image.fromarray(np.uint8(picture.clamp(0, 1).permute(1, 2, 0).mul(255).round()))
    return image.resize((round(image.width * HEIGHT / image.height), HEIGHT), Image.Resampling.LANCZOS)


if __name__ == "__main__":
    draw()

"""The Bayer images that complexity and latency are reported at."""

from types import MappingProxyType

from ispbench.errors import UserError

# Height and width: ZRR's, MAI21's, the challenges' full HD.
SIZES = MappingProxyType({"448x448": (448, 448), "256x256": (256, 256), "fullhd": (1080, 1920)})


def parse_size(text: str) -> tuple[int, int]:
    """Reads ``HEIGHTxWIDTH``, one number for a square, or a name of `SIZES`.

    Raises:
        UserError: for another form, or odd sides.
    """
    if text in SIZES:
        return SIZES[text]
    sides = [int(side) if side.isdecimal() else 0 for side in text.split("x")]
    if len(sides) not in (1, 2) or any(side < 2 or side % 2 for side in sides):
        raise UserError(f"size has the form HEIGHTxWIDTH with even sides, such as 448x448, or fullhd; not {text!r}.")
    return sides[0], sides[-1]

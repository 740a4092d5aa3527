"""A network's forward pass with bounded memory: each operation in pieces, large results in files.

Whatever a network looks at over the whole image (means, norms, attention, spectra, coordinates) it finds there, since
each operation is complete before the next one starts. So the result is that of the whole image, up to rounding.

    with torch.inference_mode(), Streamed(Scratch(folder, least=8 * 2**20)):
        image = model(raw)
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_leaves, tree_map, tree_unflatten

from ispbench.rendering.scratch import Scratch

_PIECE = 48 * 2**20  # bytes of input and output that a piece has about
_ENLARGEMENT = 64  # how many times larger than its input a result may be

_aten = torch.ops.aten
# What acts on each channel by itself.
_CHANNELWISE = {
    _aten.native_batch_norm,
    _aten.max_pool2d_with_indices,
    _aten.avg_pool2d,
    _aten.adaptive_avg_pool2d,
    _aten._adaptive_avg_pool2d,
    _aten.adaptive_max_pool2d,
    _aten.constant_pad_nd,
    _aten.reflection_pad2d,
    _aten.replication_pad2d,
    _aten._fft_r2c,
    _aten._fft_c2c,
    _aten._fft_c2r,
}
# Likewise, with a result that may be of any size.
_RESIZING = {_aten.upsample_nearest2d, _aten.upsample_bilinear2d, _aten.upsample_bicubic2d}
# What acts on a row, or on a few, at a time, besides all that PyTorch tags as pointwise.
_ROWWISE = {
    _aten.clone,
    _aten._to_copy,
    _aten._prelu_kernel,
    _aten.native_layer_norm,  # over the last axis
    _aten.polar,
    _aten.complex,
    _aten.zeros_like,
    _aten.ones_like,
    _aten.full_like,
    _aten.pixel_shuffle,
    _aten.pixel_unshuffle,
}
_REDUCTIONS = {_aten.mean, _aten.sum, _aten.amax, _aten.amin, _aten.var, _aten.var_mean, _aten.linalg_vector_norm}
_JOINS = {_aten.cat, _aten.stack}


class Streamed(TorchDispatchMode):
    """While it is active, operations on large CPU tensors run in pieces and leave their results in scratch files.

    Args:
        scratch: Makes the tensors of results.
        advance: Called with the bytes of each result that was made.

    Attributes:
        whole: The names of operations that made a large result in memory first, since no rule tells their pieces.
    """

    def __init__(self, scratch: Scratch, advance: Callable[[int], None] = lambda size: None) -> None:
        super().__init__()
        self.scratch = scratch
        self.advance = advance
        self.whole: set[str] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Runs one operation."""
        kwargs = kwargs or {}
        inputs = _tensors((args, kwargs))
        if func.is_view:
            return func(*args, **kwargs)
        worth_it = _size(inputs) >= self.scratch.least // _ENLARGEMENT or func.overloadpacket in _RESIZING
        if rule := self._rule(func, args) if worth_it else None:
            return rule(func, args, kwargs)
        result = self._adopted(func(*args, **kwargs), inputs, func)
        self._done(_tensors(result))
        return result

    def _done(self, results: Sequence[Tensor]) -> None:
        self.scratch.touch(2 * _size(results))
        self.advance(_size(results))

    def _rule(self, func: Any, args: Any) -> Callable[..., Any] | None:
        """How to run an operation in pieces; None if it is not known or not worth it."""
        packet = func.overloadpacket
        if packet is _aten.convolution and args[0].dim() == 4:
            return self._transposed if args[6] else self._convolution
        if packet is _aten.bmm:
            return self._bmm
        if packet in _CHANNELWISE | _RESIZING and args[0].dim() == 4:
            return self._by_channels
        if packet is _aten.index:
            return self._by_rows if [index is not None for index in args[1]] == [False, True] else None
        if packet in _REDUCTIONS and args[0].dim() == 4 and len(args) > 1:
            dim = args[2] if packet is _aten.linalg_vector_norm else args[1]
            dims = {axis % 4 for axis in (dim if isinstance(dim, Sequence) else () if dim is None else (dim,))}
            if not dims or (1 in dims and len(dims) > 1):
                return None  # over everything
            return self._by_rows if dims == {1} else self._by_channels
        if packet in _JOINS:
            axis = args[1] if len(args) > 1 else 0
            rank = args[0][0].dim() + (packet is _aten.stack)
            return self._by_rows if axis % rank < rank - 2 else None
        return self._by_rows if packet in _ROWWISE or torch.Tag.pointwise in func.tags else None

    def _by_rows(self, func: Any, args: Any, kwargs: Any) -> Any:
        inputs = [tensor for tensor in _tensors((args, kwargs)) if tensor.dim() > 1]
        rows, columns = (max((tensor.shape[axis] for tensor in inputs), default=1) for axis in (-2, -1))
        axis, length = (-2, rows) if rows > 1 else (-1, columns)
        writes = func._schema.is_mutable

        def cut(tensor: Tensor, start: int, count: int) -> Tensor:
            has = tensor.dim() >= -axis and tensor.shape[axis] == length
            return tensor.narrow(axis, start, count) if has else tensor

        grain = args[1] if func.overloadpacket is _aten.pixel_unshuffle else 1
        return self._in_pieces(func, args, kwargs, cut, axis, length, grain, args[0] if writes else None)

    def _by_channels(self, func: Any, args: Any, kwargs: Any) -> Any:
        channels = args[0].shape[1]

        def cut(tensor: Tensor, start: int, count: int) -> Tensor:
            axis = 1 if tensor.dim() > 1 else 0
            has = tensor.dim() > 0 and tensor.shape[axis] == channels
            return tensor.narrow(axis, start, count) if has else tensor

        return self._in_pieces(func, args, kwargs, cut, 1, channels)

    def _bmm(self, func: Any, args: Any, kwargs: Any) -> Any:
        first, second = args
        rows, columns = first.shape[1], second.shape[2]
        axis, length, long = (2, columns, second) if columns >= rows else (1, rows, first)

        def cut(tensor: Tensor, start: int, count: int) -> Tensor:
            return tensor.narrow(axis, start, count) if tensor is long else tensor

        return self._in_pieces(func, args, kwargs, cut, axis, length)

    def _in_pieces(
        self,
        func: Any,
        args: Any,
        kwargs: Any,
        cut: Callable[[Tensor, int, int], Tensor],
        axis: int,
        length: int,
        grain: int = 1,
        into: Tensor | None = None,
    ) -> Any:
        """Runs an operation for a part of an axis after the other.

        Args:
            func: The operation.
            args: Its arguments.
            kwargs: Its named arguments.
            cut: The part of an argument from a start on for a count of values along the axis.
            axis: Of the results; 0 for those of one dimension.
            length: Of the axis in the arguments.
            grain: The number of values that the arguments are cut into is a multiple of this.
            into: What the operation writes to in place; None if it makes its result.
        """
        results: list[Tensor] = []
        spec = None
        start, count = 0, grain
        while start < length:
            part = min(count, length - start)
            cut_args, cut_kwargs = _cut((args, kwargs), cut, start, part)
            pieces, spec = tree_flatten(func(*cut_args, **cut_kwargs))
            along = [axis if piece.dim() > 1 else 0 for piece in pieces]
            if into is None and not results:
                results = [
                    self.scratch.empty(_longer(piece, place, length, part), piece.dtype)
                    for piece, place in zip(pieces, along, strict=True)
                ]
            for result, piece, place in zip(results, pieces, along, strict=into is None):
                size = piece.shape[place]
                result.narrow(place, start * size // part, size).copy_(piece)
            self._done(pieces)
            if not start:  # the first piece is small and tells how large the others may be
                count = _share(part, _size(_tensors((cut_args, cut_kwargs))) + _size(pieces), grain)
            start += part
        return into if into is not None else tree_unflatten(results, spec)  # type: ignore[arg-type]

    def _convolution(self, func: Any, args: Any, kwargs: Any) -> Tensor:
        x, weight, bias, (stride, step_x), (padding, pad_x), dilation, _, _, groups = args
        reach = dilation[0] * (weight.shape[2] - 1) + 1
        height = x.shape[2]
        rows = (height + 2 * padding - reach) // stride + 1

        def piece(start: int, end: int) -> Tensor:
            first, last = start * stride - padding, (end - 1) * stride - padding + reach
            part = x[:, :, max(first, 0) : min(last, height)]
            part = F.pad(part, (0, 0, max(-first, 0), max(last - height, 0)))
            return func(part, weight, bias, [stride, step_x], [0, pad_x], dilation, False, [0, 0], groups)

        return self._rows_of(piece, rows, _size([x]))

    def _transposed(self, func: Any, args: Any, kwargs: Any) -> Tensor:
        x, weight, bias, (stride, step_x), (padding, pad_x), dilation, _, (extra, extra_x), groups = args
        reach = dilation[0] * (weight.shape[2] - 1) + 1
        height = x.shape[2]
        rows = (height - 1) * stride - 2 * padding + reach + extra

        def piece(start: int, end: int) -> Tensor:
            # Row i of the input adds to the rows from i * stride - padding on, `reach` of them.
            last = min((end - 1 + padding) // stride, height - 1)
            first = max(-(-(start + padding - reach + 1) // stride), 0)
            first = min(first, (start + padding) // stride, last)  # rows to which none adds are covered, too
            part = x[:, :, first : last + 1]
            sums = func(part, weight, None, [stride, step_x], [0, pad_x], dilation, True, [0, extra_x], groups)
            offset = start + padding - first * stride
            sums = F.pad(sums, (0, 0, 0, max(offset + end - start - sums.shape[2], 0)))
            sums = sums[:, :, offset : offset + end - start]
            return sums if bias is None else sums + bias.view(1, -1, 1, 1)

        return self._rows_of(piece, rows, _size([x]))

    def _rows_of(self, piece: Callable[[int, int], Tensor], rows: int, size: int) -> Tensor:
        """Joins the rows of a result, of an input of `size` bytes, that are made from a start to an end."""
        result = None
        start, count = 0, 1
        while start < rows:
            end = min(start + count, rows)
            part = piece(start, end)
            if result is None:  # the first row tells how many may be made at a time
                result = self.scratch.empty(_longer(part, 2, rows, 1), part.dtype)
                count = _share(rows, size + _size([result]))
            result[:, :, start:end].copy_(part)
            self._done([part])
            start = end
        assert result is not None
        return result

    def _adopted(self, result: Any, inputs: Sequence[Tensor], func: Any) -> Any:
        """Moves large new tensors to scratch files."""
        known = {tensor.untyped_storage().data_ptr() for tensor in inputs}

        def adopt(value: Any) -> Any:
            if not isinstance(value, Tensor) or _size([value]) < self.scratch.least:
                return value
            if value.untyped_storage().data_ptr() in known:
                return value
            self.whole.add(str(func.overloadpacket))
            return self.scratch.empty(value.shape, value.dtype).copy_(value)

        return tree_map(adopt, result)


def _tensors(tree: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]


def _cut(tree: Any, cut: Callable[[Tensor, int, int], Tensor], start: int, count: int) -> Any:
    return tree_map(lambda leaf: cut(leaf, start, count) if isinstance(leaf, Tensor) else leaf, tree)


def _size(tensors: Sequence[Tensor]) -> int:
    """Bytes of all values."""
    return sum(tensor.numel() * tensor.dtype.itemsize for tensor in tensors)


def _share(length: int, size: int, grain: int = 1) -> int:
    """How much of an axis makes a piece where `length` of it has `size` bytes."""
    return max(length * _PIECE // max(size, 1) // grain, 1) * grain


def _longer(piece: Tensor, axis: int, length: int, part: int) -> list[int]:
    """The shape of a whole of which a piece is known, `part` of `length`."""
    shape = list(piece.shape)
    shape[axis] = shape[axis] * length // part
    return shape

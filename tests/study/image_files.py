"""Image files as other programs write them, byte by byte."""

import struct
import zlib
from pathlib import Path

import numpy as np


def write_tiff(
    path: Path,
    values: np.ndarray,
    bits: int,
    *,
    white_is_zero: bool = False,
    big_endian: bool = False,
    signed: bool = False,
) -> Path:
    """Grey values of ``bits`` bits, uncompressed; 12 are packed, two values in three bytes."""
    order = ">" if big_endian else "<"
    height, width = values.shape
    if bits < 16:
        digits = (values[..., None] >> np.arange(bits)[::-1]) & 1
        pixels = np.packbits(digits.reshape(height, -1).astype(np.uint8), axis=1).tobytes()
    else:
        pixels = values.astype(f"{order}i{bits // 8}").tobytes()
    tags = {
        256: width,
        257: height,
        258: bits,
        259: 1,
        262: int(not white_is_zero),
        273: 8,
        277: 1,
        278: height,
        279: len(pixels),
        339: 2 if signed else 1,
    }
    entries = b"".join(struct.pack(f"{order}HHII", tag, 4, 1, tags[tag]) for tag in sorted(tags))
    directory = struct.pack(f"{order}H", len(tags)) + entries + bytes(4)
    magic = b"MM" if big_endian else b"II"
    path.write_bytes(magic + struct.pack(f"{order}HI", 42, 8 + len(pixels)) + pixels + directory)
    return path


def write_deep_colours(path: Path, values: np.ndarray, *, alpha: bool = False) -> Path:
    """A PNG of 16-bit values, as RGB or as grey with alpha."""
    channels = [values, np.full_like(values, 65535)] if alpha else [values] * 3
    rows = np.stack(channels, axis=-1).astype(">u2").reshape(len(values), -1).view(np.uint8)
    # every row begins with its filter, none
    pixels = np.pad(rows, ((0, 0), (1, 0))).tobytes()
    header = struct.pack(">IIBBBBB", values.shape[1], len(values), 16, 4 if alpha else 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(pixels)), (b"IEND", b""))
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + b"".join(
            struct.pack(">I", len(content)) + kind + content
            + struct.pack(">I", zlib.crc32(kind + content))
            for kind, content in chunks
        )
    )  # fmt: skip
    return path

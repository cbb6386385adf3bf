"""Damages what a broker has stored, as a disk does: behind its back, in the file of a partition. The broker has taken all of
these batches, and no client can read them any more."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import List

_BATCH = struct.Struct(">qiiBIhiqqqhii")  # of Kafka's protocol: from its base offset to the number of its records
CRC_AT, CRC_FROM = 17, 21  # where the checksum stands in a batch, and where what it is of begins
POLYNOMIAL = 0x82F63B78  # of CRC-32C, reflected


class Stored:
    """The file of one partition."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def batches(self) -> List[int]:
        """Where each begins in the file."""
        content, places, at = self._path.read_bytes(), [], 0
        while at + _BATCH.size <= len(content):
            length = int.from_bytes(content[at + 8 : at + 12], "big")
            if not length:
                break
            places.append(at)
            at += 12 + length
        return places

    def write(self, batch: int, at: int, what: bytes, *, checksum: bool) -> bytes:
        """Put these bytes into a batch; what was there. `checksum`: it is made to fit."""
        begin = self.batches()[batch]
        with open(self._path, "r+b") as file:
            file.seek(begin + at)
            before = file.read(len(what))
            file.seek(begin + at)
            file.write(what)
            if checksum:
                file.seek(begin)
                head = file.read(12)
                content = file.read(int.from_bytes(head[8:], "big"))
                file.seek(begin + CRC_AT)
                file.write(crc32c(content[CRC_FROM - 12 :]).to_bytes(4, "big"))
        return before


def crc32c(content: bytes) -> int:
    """Slow, and good for a few kilobytes."""
    crc = 0xFFFFFFFF
    for byte in content:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (POLYNOMIAL if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF

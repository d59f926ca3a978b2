"""A given number of requests over a few connections that stay open: how long they took, each answer looked at."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Storm:
    seconds: float
    waits: tuple[float, ...]
    """Seconds of each request, in ascending order."""

    @property
    def rate(self) -> float:
        return len(self.waits) / self.seconds

    def share(self, part: float) -> float:
        """How long a request took at most for this part of all."""
        return self.waits[min(len(self.waits) - 1, int(len(self.waits) * part))]


async def storm(
    port: int, path: str, bodies: Sequence[bytes], headers: Mapping[str, str], connections: int = 16
) -> Storm:
    """POST every body once. Raises SystemExit with the first answer that is no success."""
    queue, waits = iter(bodies), list[float]()
    shown = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n{shown}Content-Length: "
    began = time.perf_counter()
    await asyncio.gather(*(_one(port, head.encode(), queue, waits) for _ in range(connections)))
    return Storm(time.perf_counter() - began, tuple(sorted(waits)))


async def _one(port: int, head: bytes, queue: Iterator[bytes], waits: list[float]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for body in queue:
            sent = time.perf_counter()
            writer.write(head + str(len(body)).encode() + b"\r\n\r\n" + body)
            answered = await reader.readuntil(b"\r\n\r\n")
            length = next(
                int(line.partition(b":")[2])
                for line in answered.split(b"\r\n")
                if line.lower().startswith(b"content-length")
            )
            text = await reader.readexactly(length)
            waits.append(time.perf_counter() - sent)
            if not answered.startswith(b"HTTP/1.1 200") or b'"errors"' in text:
                raise SystemExit(f"{body[:300]!r} was answered {answered[:60]!r} {text[:1000]!r}")
    finally:
        writer.close()

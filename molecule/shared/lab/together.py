"""Several things at the same time, and one thing by one run at a time."""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import paths
from progress import say

_T = TypeVar("_T")


@contextlib.contextmanager
def locked(name: str) -> Iterator[None]:
    """Keep others out who run this command for the same thing at the same time."""
    with open(paths.cache() / f"{name}.lock", "w", encoding="ascii") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"waiting for another run of this command ({name})")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def pool() -> Iterator[ThreadPoolExecutor]:
    """Give an executor that is waited for at the end, except by somebody who interrupts."""
    workers = ThreadPoolExecutor(max_workers=6)
    wait = True
    try:
        yield workers
    except KeyboardInterrupt:
        wait = False
        raise
    finally:
        workers.shutdown(wait=wait, cancel_futures=not wait)


def together(function: Callable[..., _T], calls: Iterable[tuple[Any, ...]]) -> list[_T]:
    """Call a function with each of these arguments at the same time; results in order, the first failure is raised."""
    with pool() as workers:
        futures = [workers.submit(function, *arguments) for arguments in calls]
        return [future.result() for future in futures]

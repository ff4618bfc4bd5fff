"""Runs networks from files: `identify` says which and how, `load` makes it ready to run."""

from infrastructure.inference.loading import cache_folder, load, threads_per_process
from infrastructure.inference.network_file import is_of_one_size
from infrastructure.inference.selection import identify, notices

__all__ = [
    "cache_folder",
    "identify",
    "is_of_one_size",
    "load",
    "notices",
    "threads_per_process",
]

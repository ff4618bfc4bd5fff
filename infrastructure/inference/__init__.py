"""Runs networks from files: `identify` says which and how, `load` makes it ready to run."""

from infrastructure.inference.loading import cache_folder, load, threads_per_process
from infrastructure.inference.selection import identify, notices

__all__ = ["cache_folder", "identify", "load", "notices", "threads_per_process"]

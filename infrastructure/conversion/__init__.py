"""Writes a network in another form: `convert` takes what users have and gives what they run."""

from infrastructure.conversion.converting import PRECISIONS_OF_FORM, convert

__all__ = ["PRECISIONS_OF_FORM", "convert"]

"""Brings images to the size that a network's file fixes."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from application.stage import Image
from domain.errors import InputError, TableError

PADDING_GREY = 114


class Canvas:
    """Images of one size, laid in the top-left corner of those that the network takes.

    A network exported for a fixed size takes any image that is not larger: the bars at the right
    and at the bottom leave every coordinate as it is.
    """

    def __init__(
        self, image: tuple[int, int], network: Sequence[int | None], name: str = "network"
    ) -> None:
        """`network` is the height and width that the file fixes, None where it takes any.

        Raises:
            InputError: the images are larger than the network's.
        """
        self.image = image
        height, width = (fixed or asked for fixed, asked in zip(network, image, strict=True))
        self.network = (height, width)
        if height < image[0] or width < image[1]:
            raise InputError(
                f"model file {name}: takes images of {width}x{height} pixels, these would be "
                f"{image[1]}x{image[0]}; lower image_size, or export the network for that size"
            )

    def lay(self, image: Image) -> NDArray[np.uint8]:
        """The image as (1, height, width, 3), contiguous, of the network's size."""
        if image.shape != (*self.image, 3) or image.dtype != np.uint8:
            raise TableError(
                f"expected uint8 images of shape {(*self.image, 3)}, "
                f"actual {image.dtype} {image.shape}"
            )
        if self.network == self.image:
            return np.ascontiguousarray(image)[None]
        canvas = np.full((1, *self.network, 3), PADDING_GREY, np.uint8)
        canvas[0, : self.image[0], : self.image[1]] = image
        return canvas

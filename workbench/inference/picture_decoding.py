"""The pixels of a picture: decoded in the worker, bounded before anything is unpacked."""

from __future__ import annotations

import io
import warnings

from PIL import Image, ImageOps, UnidentifiedImageError

from workbench.errors import EngineError
from workbench.prompting.pictures import MOST_PIXELS, Picture

_FORMATS = ("PNG", "JPEG", "WEBP", "GIF")


def decode_picture(picture: Picture) -> Image.Image:
    """The picture in RGB, turned as its EXIF data says; of several frames the first. Transparency is left out.

    Raises EngineError for one that is damaged, or larger than is read.
    """
    named = picture.name or picture.media_type
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of its own, lower limit
            with Image.open(io.BytesIO(picture.data), formats=_FORMATS) as opened:
                if opened.width * opened.height > MOST_PIXELS:
                    raise EngineError(
                        f"The picture {named} has {opened.width:,} × {opened.height:,} pixels; at most {MOST_PIXELS:,}"
                        " in all are read.",
                        "Make it smaller.",
                    )
                opened.seek(0)
                return ImageOps.exif_transpose(opened).convert("RGB")
    except EngineError:
        raise
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError, ValueError) as error:
        raise EngineError(
            f"The picture {named} is damaged: it cannot be decoded.", "Save it again, as PNG or JPEG.", str(error)
        ) from error
    except MemoryError as error:
        raise EngineError(f"There was not enough memory to decode the picture {named}.", "Make it smaller.") from error

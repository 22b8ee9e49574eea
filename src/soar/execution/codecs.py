"""The built-in codecs by name. They are imported by name too, since this package knows no domain."""

import importlib
from typing import cast

from soar.codec import Codec

CODECS = {"json": "soar.codec", "arc": "soar.domains.arc.codec"}


def codec_named(name: str) -> Codec:
    """Return a built-in codec."""
    return cast(Codec, importlib.import_module(CODECS[name]))

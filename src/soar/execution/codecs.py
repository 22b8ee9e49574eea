"""The built-in codecs by name. Imported by name too, since nothing here knows a domain."""

import importlib
from typing import cast

from soar.codec import Codec

CODECS = {"json": "soar.codec", "arc": "soar.domains.arc.codec"}


def codec_named(name: str) -> Codec:
    """Return a built-in codec."""
    return cast(Codec, importlib.import_module(CODECS[name]))

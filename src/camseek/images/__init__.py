"""Find pictures, and read them as small upright sRGB arrays."""

from camseek.images.decode import Picture, check_region, decode
from camseek.images.files import (
    fingerprint,
    look_at,
    open_file,
    size_of,
    state_of,
    unreadable,
    whole_reads,
)
from camseek.images.formats import PICTURE_SUFFIXES, sniff
from camseek.images.found import FoundFile, Walk
from camseek.images.pool import prepare, read_picture
from camseek.images.walk import walk

__all__ = [
    "PICTURE_SUFFIXES",
    "FoundFile",
    "Picture",
    "Walk",
    "check_region",
    "decode",
    "fingerprint",
    "look_at",
    "open_file",
    "prepare",
    "read_picture",
    "size_of",
    "sniff",
    "state_of",
    "unreadable",
    "walk",
    "whole_reads",
]

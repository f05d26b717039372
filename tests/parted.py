"""Pictures whose contents are digests, as those of real ones are: they lie in all parts of a collection."""

import hashlib

import numpy as np

from camseek.address import milvus_address
from camseek.matching.codebook import embedded_codebook
from camseek.matching.words import WordPoints

ADDRESS = milvus_address("milvus://127.0.0.1:1/parts")
BOOK = embedded_codebook()


def content(number):
    return hashlib.sha256(b"%d" % number).digest()


def points(number, count=30):
    generator = np.random.default_rng(number)
    ones = np.ones(count, np.float32)
    words, signs = generator.integers(0, 50, count), generator.integers(0, 2**63, count)
    zeros = np.zeros((count, 2), np.float32)
    return WordPoints(zeros, ones, ones, words.astype(np.uint16), signs.astype(np.uint64), BOOK.tag)


def packed(number):
    return points(number).pack((640, 480))


def as_query(made):
    return made.as_query(np.ones(len(made.words), bool))

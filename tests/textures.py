"""Pictures full of corners, for what compares local features."""

import io

import cv2
import numpy as np
from PIL import Image

SIZE = (320, 240)


def texture(seed, size=SIZE):
    """A picture full of corners: no two seeds have any in common."""
    random = np.random.default_rng(seed)
    width, height = size
    image = np.full((height, width, 3), random.integers(60, 200, 3), np.uint8)
    for _ in range(160):
        x, y = random.integers(0, width), random.integers(0, height)
        colour = tuple(int(value) for value in random.integers(0, 256, 3))
        if random.random() < 0.5:
            cv2.circle(image, (int(x), int(y)), int(random.integers(3, 14)), colour, -1)
        else:
            end = int(x + random.integers(4, 30)), int(y + random.integers(4, 30))
            cv2.rectangle(image, (int(x), int(y)), end, colour, -1)
    return image


def png(image):
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return file.getvalue()

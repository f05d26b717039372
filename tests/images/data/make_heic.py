"""Makes the HEIC files beside it: ``pip install pillow-heif numpy && python make_heic.py``.

pi-heif, which reads them, has no encoder, and pillow-heif's carries x265 under the GPL: it is no
dependency, not even of the tests.
"""

import numpy as np
import pillow_heif
from PIL import Image, ImageDraw

pillow_heif.register_heif_opener()

# The same picture as conftest.scene((96, 64)).
picture = Image.new("RGB", (96, 64), (200, 40, 40))
draw = ImageDraw.Draw(picture)
draw.rectangle((48, 0, 95, 31), fill=(40, 180, 60))
draw.rectangle((0, 32, 47, 63), fill=(50, 70, 200))
draw.rectangle((48, 32, 95, 63), fill=(230, 220, 90))
draw.rectangle((8, 8, 23, 15), fill=(250, 250, 250))

inverse = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
for orientation, turn in inverse.items():
    stored = picture.transpose(turn) if turn is not None else picture
    exif = Image.Exif()
    exif[0x0112] = orientation
    # pillow-heif writes it as the container's irot and imir as well, where it is given as bytes.
    stored.save(f"orientation{orientation}.heic", quality=80, exif=exif.tobytes())

clear = picture.convert("RGBA")
alpha = np.full((64, 96), 255, np.uint8)
alpha[:, 48:] = 0
clear.putalpha(Image.fromarray(alpha))
clear.save("alpha.heic", quality=80)
picture.save("two.heic", quality=80, save_all=True, append_images=[Image.new("RGB", (64, 64), (0, 0, 0))])
deep = np.asarray(picture).astype(np.uint16) * 257
pillow_heif.from_bytes("RGB;16", (96, 64), deep.tobytes()).save("deep.heic", quality=80)

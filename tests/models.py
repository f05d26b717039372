"""A second model for tests: the embedded network, which sees pictures in another way."""

import hashlib
import json
import shutil

from camseek.backbones.library import EMBEDDED

# A text of protobuf that is there already, once more: the file is another, the network the same.
_PRODUCER = b"\x12"


def other_model(models, name="other", *, sketch=True, means=(90.0, 120.0, 150.0), classes=None):
    """Makes a model's folder among the imported ones; it takes other means, so that all its maps are others.

    Args:
        models: The folder of imported models.
        name: Its name.
        sketch: Whether it has axes of sketches.
        means: What it subtracts.
        classes: Changes the names of its classes: a function of their list.
    """
    folder = models / name
    shutil.copytree(EMBEDDED, folder)
    content = (folder / "model.onnx").read_bytes() + _PRODUCER + bytes([len(name)]) + name.encode()
    (folder / "model.onnx").write_bytes(content)
    card = json.loads((folder / "card.json").read_text())
    card.pop("proof", None)
    card["name"] = name
    card["model"]["sha256"] = hashlib.sha256(content).hexdigest()
    card["input"]["mean"] = list(means)
    if not sketch:
        del card["sketch"]
        (folder / "sketch.bin").unlink()
    if classes is not None:
        names = classes((folder / "classes.txt").read_text().splitlines())
        text = "".join(f"{name}\n" for name in names).encode()
        (folder / "classes.txt").write_bytes(text)
        card["classes"]["sha256"] = hashlib.sha256(text).hexdigest()
    (folder / "card.json").write_text(json.dumps(card))
    return folder

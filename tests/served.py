"""A service in this process on a port of its own, its client, and what they say to each other."""

import json
import threading
import time
from contextlib import contextmanager

import cv2
import httpx
import numpy as np
import uvicorn

from camseek.service.app import application
from camseek.service.house import House
from camseek.service.running import listening
from camseek.service.settings import ServiceSettings
from textures import texture

COUNT = 6
FORM = {"X-Camseek": "test"}


def scene():
    """The third texture, half as large and turned, in another one."""
    place = texture(900, (480, 400))
    turn = cv2.getRotationMatrix2D((160, 120), 25, 0.7)
    turn[:, 2] += (60, 80)
    mask = cv2.warpAffine(np.full((240, 320), 255, np.uint8), turn, (480, 400))
    thing = cv2.warpAffine(texture(3), turn, (480, 400))
    place[mask > 127] = thing[mask > 127]
    return place


@contextmanager
def serving(address, state, model, protocol="h11", **options):
    """A client of a service over one collection, on a port of its own."""
    settings = ServiceSettings(collections={"museum": str(address)}, state=state, **options)
    with listening("127.0.0.1", 0) as found:
        config = uvicorn.Config(
            *(application(House(settings, model)),),
            lifespan="on",
            log_level="error",
            ws="none",
            http=protocol,
            timeout_graceful_shutdown=1,
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [found]})
        thread.start()
        try:
            while not server.started:
                assert thread.is_alive()
                time.sleep(0.005)
            base = f"http://127.0.0.1:{found.getsockname()[1]}"
            with httpx.Client(base_url=base, headers=FORM, timeout=120) as client:
                yield client
        finally:
            server.should_exit = True
            thread.join()


def events(text):
    """The events of an answer: names and records."""
    return [
        (name.removeprefix("event: "), json.loads(data.removeprefix("data: ")))
        for name, data in (
            item.split("\n", 1) for item in text.strip().split("\n\n") if item.startswith("event: ")
        )
    ]


def ended(client, job):
    """A job once it has ended."""
    until = time.monotonic() + 60
    while (found := client.get(f"/api/v1/jobs/{job['id']}").json())["state"] in ("waiting", "running"):
        assert time.monotonic() < until, found
        time.sleep(0.02)
    return found

"""Decoding in processes: the same pixels and errors, and whatever goes wrong costs one picture."""

import gc
import gzip
import io
import os
import pickle
import re
import signal
import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from camseek.config import Limits, Resize
from camseek.errors import (
    CamseekError,
    DamagedPictureError,
    DecoderCrashedError,
    DecoderError,
    NotAPictureError,
    RegionError,
    TooLargeError,
    TooSlowError,
    UnreadableFileError,
)
from camseek.images import pool as pool_module
from camseek.images import prepare, read_picture
from camseek.images.decode import decode

FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP", "AVIF", "HEIF", "JPEG2000")
SMALL = Resize.parse("48")
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")


@pytest.fixture
def fresh(monkeypatch):
    """A pool of the test's own, with nothing left running."""
    made = pool_module._Pool()
    monkeypatch.setattr(pool_module, "_one_pool", made)
    yield made
    made.close()


def read(content, **options):
    return read_picture(io.BytesIO(content), **{"resize": SMALL, **options})


def workers(pool):
    return {worker._process.pid for worker in pool._workers}


def hostile(monkeypatch, body):
    """Workers that greet, take a job and then do something else."""
    code = textwrap.dedent(f"""
        import os, signal, sys, time
        from camseek.images.wire import *
        from camseek.images import worker
        wire = worker._take_pipes()
        wire.send(HELLO)
        def serve():
            {body}
        while True:
            wire.receive(); wire.receive(2 << 20)
            serve()
    """)
    monkeypatch.setattr(pool_module, "_START", code)


# The same as here


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("region", [None, (8, 4, 60, 44)])
def test_pixels_are_the_same(samples, format, region):
    here = decode(io.BytesIO(samples[format]), resize=SMALL, multiple=8, region=region)
    there = read(samples[format], multiple=8, region=region)
    assert np.array_equal(here.pixels, there.pixels)
    assert not there.pixels.flags.writeable
    for name in ("size", "format", "frames", "warnings"):
        assert getattr(here, name) == getattr(there, name), name


def test_warnings_and_orientation_come_through(make):
    content = make.save(make.scene(), "PNG", exif=b"Exif\0\0broken", icc_profile=b"broken")
    assert read(content).warnings == decode(io.BytesIO(content), resize=SMALL).warnings != ()
    turned = make.save(make.scene(), "JPEG", exif=make.exif(6))
    assert read(turned).size == (64, 96)


def test_errors_are_the_same(make, samples):
    cut = {format: content[: len(content) // 2] for format, content in samples.items()}
    for content in (b"", b"text", b"%PDF-1.7", *cut.values()):
        with pytest.raises(CamseekError) as here:
            decode(io.BytesIO(content), resize=SMALL)
        with pytest.raises(CamseekError) as there:
            read(content)
        assert type(here.value) is type(there.value)
        assert (here.value.message, here.value.remedy) == (there.value.message, there.value.remedy)
    # Boxes and chunks that say they hold gigabytes.
    for format, at in (("JPEG2000", 40), ("PNG", 8)):
        content = samples[format][:at] + b"\xb1\xf0\xff\xa5" + samples[format][at + 4 :]
        with pytest.raises(DamagedPictureError) as there:
            read(content)
        with pytest.raises(DamagedPictureError, match=re.escape(there.value.message)):
            decode(io.BytesIO(content), resize=SMALL)
    with pytest.raises(RegionError, match="reaches outside the picture, which is 96 x 64 pixels"):
        read(samples["PNG"], region=(0, 0, 97, 10))
    with pytest.raises(TooLargeError, match=r"more than the limit of 0\.001"):
        read(samples["PNG"], limits=Limits(max_pixels=1000))
    with pytest.raises(ValueError, match="multiple"):
        read(samples["PNG"], multiple=0)
    with pytest.raises(RegionError, match="is no region"):
        read(samples["PNG"], region=(0.5, 0, 9, 9))


def test_files_of_several_blocks(make, tmp_path):
    from PIL import Image

    noise = np.random.default_rng(1).integers(0, 256, (1200, 1500, 3), dtype=np.uint8)
    for format, options in (("TIFF", {}), ("TIFF", {"compression": "tiff_lzw"}), ("PNG", {}), ("BMP", {})):
        path = tmp_path / f"a.{format.lower()}"
        Image.fromarray(noise).save(path, format, **options)
        assert path.stat().st_size > 3 << 20
        with path.open("rb") as file:
            here = decode(file, resize=SMALL)
            there = read_picture(file, resize=SMALL)
        assert np.array_equal(here.pixels, there.pixels)


class Trickle(io.RawIOBase):
    """A file that gives one byte at a time, or an error from some byte on."""

    def __init__(self, content, error=None, after=0):
        self._file, self._error, self._after = io.BytesIO(content), error, after

    def seekable(self):
        return True

    def readable(self):
        return True

    def seek(self, *where):
        return self._file.seek(*where)

    def read(self, size=-1):
        if self._error is not None and self._file.tell() >= self._after:
            raise self._error
        return self._file.read(min(size, 1))


def test_a_source_of_single_bytes(samples):
    picture = read_picture(Trickle(samples["PNG"]), resize=SMALL)
    assert np.array_equal(picture.pixels, read(samples["PNG"]).pixels)


def test_reading_fails(samples, make):
    with pytest.raises(UnreadableFileError, match="the disk fails"):
        read_picture(Trickle(samples["PNG"], OSError(5, "EIO")), resize=SMALL)

    class Disk(io.BytesIO):
        def read(self, size=-1):
            if self.tell() >= 1 << 20:
                raise OSError(5, "EIO")
            return super().read(size)

    large = make.save(make.scene((1200, 900)), "BMP")
    assert len(large) > 3 << 20
    with pytest.raises(UnreadableFileError, match="the disk fails"):
        read_picture(Disk(large), resize=SMALL)
    # What a caller's own file raises is the caller's, and the next picture is decoded all the same.
    with pytest.raises(ZeroDivisionError):
        read_picture(Trickle(samples["PNG"], ZeroDivisionError()), resize=SMALL)
    closed = io.BytesIO(samples["PNG"])
    closed.close()
    with pytest.raises(ValueError, match="closed"):
        read_picture(closed, resize=SMALL)
    assert read(samples["PNG"]).format == "PNG"


# What goes wrong


@pytest.mark.parametrize(
    "name", ["heic_content_type_not_utf8.heic", "heic_infe_64bit_size.heic", "heic_infe_over_64k.heic.gz"]
)
def test_a_decoder_that_crashes(make, samples, name):
    content = (make.data / name).read_bytes()
    content = gzip.decompress(content) if name.endswith(".gz") else content
    with pytest.raises((DecoderCrashedError, DamagedPictureError)) as error:
        read(content)
    assert error.value.settled
    assert read(samples["HEIF"]).format == "HEIF"


@LINUX
def test_a_header_that_lies_about_memory(make, samples, fresh):
    """``avif_ispe_lie.avif``: 64 x 64 says the header, 16384 x 16383 the code stream."""
    file = io.BytesIO((make.data / "avif_ispe_lie.avif").read_bytes())
    with fresh.lent() as worker:
        try:
            worker.decode(file, pool_module._Request(SMALL, 1, Limits(), None))
        except TooLargeError:
            pass  # the watcher ended it
        except DamagedPictureError:
            status = Path(f"/proc/{worker._process.pid}/status").read_text()
            peak = int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) << 10
            assert peak - worker._first_held < pool_module._UNTURNED
        else:
            pytest.fail("it was decoded")
    assert read(samples["AVIF"]).format == "AVIF"


@LINUX
def test_memory_is_what_a_decoder_takes(monkeypatch, samples, fresh):
    grow = "kept = []\n            while True: kept.append(os.urandom(1 << 20) * 20); time.sleep(0.01)"
    hostile(monkeypatch, grow)
    with pytest.raises(TooLargeError, match="more than 256 MB of memory, though its header lets expect"):
        read(samples["PNG"])
    assert not workers(fresh)


@LINUX
def test_memory_that_our_limit_refuses_is_the_pictures_fault(monkeypatch, samples, fresh):
    body = (
        "from camseek.errors import UnreadableFileError\n"
        "def decode(*_, **__):\n"
        "    try: bytearray(10 << 30)\n"
        "    except MemoryError as error: raise UnreadableFileError('no memory', remedy='x') from error\n"
        "worker.decode = decode\n"
        "worker.main()"
    )
    start = f"from camseek.images import worker\n{body}"
    monkeypatch.setattr(pool_module, "_START", start)
    with pytest.raises(TooLargeError, match=r"more than 1\.7 GB"):
        read(samples["PNG"])


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="this system counts no processor time")
def test_processor_time(monkeypatch, samples, fresh):
    start = (
        "from camseek.images import worker\n"
        "def decode(*_, **__):\n    while True: pass\n"
        "worker.decode = decode\nworker.main()"
    )
    monkeypatch.setattr(pool_module, "_START", start)
    with pytest.raises(TooSlowError, match=r"more than 0\.3 seconds") as error:
        read(samples["PNG"], limits=Limits(max_seconds=0.3))
    assert "--max-seconds 0.6" in error.value.remedy
    assert not workers(fresh)


def test_a_process_that_waits_for_ever(monkeypatch, samples, fresh):
    hostile(monkeypatch, "time.sleep(1000)")
    with pytest.raises(TooSlowError):
        read(samples["PNG"], limits=Limits(max_seconds=0.05))


@pytest.mark.parametrize(
    "body",
    [
        "os.write(2, b'x'); wire.send(b'Z', b'what?')",
        "wire._outgoing.write(b'garbage' * 100)",
        "wire.send(PICTURE, b'[]')",
        "wire.send(PICTURE, b'{')",
        "wire.send(PICTURE, b'[' * 100000)",
        "wire.send(PICTURE, b'{\"shape\": [100000, 100000, 3], \"size\": [1, 1], \"format\": \"x\", "
        "\"frames\": 1, \"warnings\": []}')",
        "wire.send(PICTURE, b'{\"shape\": [2, 2, 3], \"size\": [1, 1], \"format\": \"x\", "
        "\"frames\": 1, \"warnings\": []}'); wire.send(PICTURE, b'short')",
        "wire.send(ERROR, b'{\"kind\": \"SystemExit\"}')",
        "wire.send(ERROR, b'7')",
        "wire.send(READ, b'x')",
        "wire.send(TURN); wire.receive(); wire.send(TURN)",
        "os._exit(0)",
        "os._exit(3)",
        "os.kill(os.getpid(), signal.SIGSEGV)",
        "os.abort()",
    ],
)  # fmt: skip
def test_a_process_that_talks_nonsense_or_dies(monkeypatch, samples, fresh, body):
    hostile(monkeypatch, body)
    with pytest.raises(DecoderCrashedError, match="the decoder crashed on it"):
        read(samples["PNG"])
    assert not workers(fresh)
    monkeypatch.undo()
    assert read(samples["PNG"]).format == "PNG"


@pytest.mark.parametrize("number", ["SIGKILL", "SIGTERM"])
def test_a_process_that_somebody_ends(monkeypatch, samples, number, fresh):
    hostile(monkeypatch, f"os.kill(os.getpid(), signal.{number})")
    with pytest.raises(UnreadableFileError, match=f"ended from outside .*{number}") as error:
        read(samples["PNG"])
    assert not error.value.settled


def test_a_crash_after_other_pictures_is_tried_again_in_a_new_process(monkeypatch, samples, fresh):
    """What one picture left in disorder must not cost the next one."""
    start = (
        "import os\nfrom camseek.images import worker\n"
        "whole, calls = worker.decode, []\n"
        "def decode(*given, **options):\n"
        "    calls.append(1)\n"
        "    if len(calls) == 2: os.abort()\n"
        "    return whole(*given, **options)\n"
        "worker.decode = decode\nworker.main()"
    )
    monkeypatch.setattr(pool_module, "_START", start)
    assert read(samples["PNG"]).format == "PNG"
    first = workers(fresh)
    assert read(samples["JPEG"]).format == "JPEG"
    assert len(first | workers(fresh)) == 2


def test_a_verdict_that_comes_when_the_picture_is_done_costs_the_next_one_nothing(samples, fresh):
    with fresh.lent() as worker:
        worker.decode(io.BytesIO(samples["PNG"]), pool_module._Request(SMALL, 1, Limits(), None))
        # The watcher read that it works, and only now how much it holds.
        worker._works, worker._held, worker._allowed_memory = True, 0, -1
        worker.look(0.0)
        assert worker._verdict == "memory"
        assert worker.clean
    assert not workers(fresh)
    assert read(samples["PNG"]).format == "PNG"


@pytest.mark.parametrize("waited_for", [True, False])
def test_idle_ones_that_the_system_ends_cost_no_picture(samples, monkeypatch, fresh, waited_for):
    read(samples["PNG"])
    (worker,) = fresh._workers
    worker._process.kill()
    if waited_for:
        worker._process.wait()
    else:  # it goes in the moment between looking and asking
        monkeypatch.setattr(worker, "alive", lambda: True)
    assert read(samples["JPEG"]).format == "JPEG"
    assert worker._process.pid not in workers(fresh)
    assert len(workers(fresh)) == 1


def test_one_that_the_system_ends_before_its_first_picture_costs_none(samples, monkeypatch, fresh):
    prepare()
    (worker,) = fresh._workers
    worker._process.kill()
    monkeypatch.setattr(worker, "alive", lambda: True)
    assert read(samples["JPEG"]).format == "JPEG"
    assert worker._process.pid not in workers(fresh)


def test_no_process_can_be_started(monkeypatch, samples, tmp_path, fresh):
    executable = sys.executable
    monkeypatch.setattr(sys, "executable", "")
    with pytest.raises(DecoderError, match="no Python") as error:
        read(samples["PNG"])
    assert "CAMSEEK_PYTHON" in error.value.remedy
    monkeypatch.setenv("CAMSEEK_PYTHON", str(tmp_path / "none"))
    prepare()  # says nothing: whoever needs it is told
    with pytest.raises(DecoderError, match="No such file"):
        read(samples["PNG"])
    monkeypatch.setenv("CAMSEEK_PYTHON", subprocess.list2cmdline([os.path.realpath("/bin/true")]))
    with pytest.raises(DecoderError, match="ended before it began"):
        read(samples["PNG"])
    monkeypatch.delenv("CAMSEEK_PYTHON")
    monkeypatch.setattr(sys, "executable", executable)
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    with pytest.raises(DecoderError, match="no Python"):
        read(samples["PNG"])


def test_with_no_process_left_to_start_those_that_are_there_do(monkeypatch, samples, fresh):
    read(samples["PNG"])
    real = pool_module._start

    def none():
        raise DecoderError("no more", remedy="")

    monkeypatch.setattr(pool_module, "_start", none)
    threads = [threading.Thread(target=read, args=(samples["PNG"],)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(workers(fresh)) == 1
    began = time.monotonic()
    with fresh.lent(new=True):  # an idle one does, at once
        assert time.monotonic() - began < pool_module._IDLE_SECONDS / 2
    monkeypatch.setattr(pool_module, "_start", real)


# How many, and how long


def test_one_for_each_thread_that_asks(samples, fresh):
    prepare()
    prepare()
    assert len(workers(fresh)) == 1
    first = workers(fresh)
    for _ in range(5):
        read(samples["PNG"])
    assert workers(fresh) == first
    expected = {format: decode(io.BytesIO(samples[format]), resize=SMALL).pixels for format in FORMATS}
    with ThreadPoolExecutor(3) as threads:
        found = list(threads.map(lambda format: read(samples[format]).pixels, FORMATS * 3))
    assert all(
        np.array_equal(pixels, expected[format]) for pixels, format in zip(found, FORMATS * 3, strict=True)
    )
    assert 1 <= len(workers(fresh)) <= 3


def test_big_ones_take_turns(monkeypatch, samples, fresh):
    most, inside, lock = [], [], threading.Lock()

    class Turn:
        def acquire(self):
            lock.acquire()
            inside.append(1)
            most.append(len(inside))
            return True

        def release(self):
            inside.pop()
            lock.release()

    monkeypatch.setattr(pool_module, "_big_turn", Turn())
    start = (
        "import sys\nfrom camseek.images import decode, worker\n"
        "sys.modules['camseek.images.decode'].BIG = 0.0\nworker.main()"
    )
    monkeypatch.setattr(pool_module, "_START", start)
    threads = [threading.Thread(target=read, args=(samples["WEBP"],)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 3
    assert not lock.locked()


@LINUX
def test_one_that_keeps_much_memory_is_replaced(monkeypatch, samples, fresh):
    read(samples["PNG"])
    first = workers(fresh)
    monkeypatch.setattr(pool_module, "_KEPT", -1e9)
    read(samples["PNG"])
    assert not first & workers(fresh)


def test_idle_ones_end_but_for_one(monkeypatch, samples, fresh):
    monkeypatch.setattr(pool_module, "_IDLE_SECONDS", 0.2)
    with fresh.lent() as one, fresh.lent() as another:
        for worker in (one, another):
            worker.decode(io.BytesIO(samples["PNG"]), pool_module._Request(SMALL, 1, Limits(), None))
    for _ in range(100):
        if len(workers(fresh)) == 1:
            break
        time.sleep(0.05)
    assert len(workers(fresh)) == 1
    assert read(samples["PNG"]).format == "PNG"


PROGRAM = """
import io, os, sys, threading, time
from camseek.config import Resize, Limits
from camseek.images import pool, read_picture
content = open(sys.argv[1], "rb").read()
def read():
    return read_picture(io.BytesIO(content), resize=Resize.parse("48")).format
def pids():
    return [worker._process.pid for worker in pool._one_pool._workers]
"""


def program(body, *arguments, **options):
    command = [sys.executable, "-c", PROGRAM + textwrap.dedent(body), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, **options)


@pytest.fixture
def png(tmp_path, samples):
    path = tmp_path / "a.png"
    path.write_bytes(samples["PNG"])
    return path


def gone(pid):
    for _ in range(200):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
        except FileNotFoundError:
            return True
        if state == "Z":
            return True
        time.sleep(0.05)
    return False


@LINUX
def test_they_end_with_the_process(png):
    done = program("read(); print(*pids())", png)
    assert (done.returncode, done.stderr) == (0, "")
    assert all(gone(pid) for pid in done.stdout.split())
    killed = program("read(); print(*pids(), flush=True); os.kill(os.getpid(), 9)", png)
    assert killed.returncode == -9
    assert all(gone(pid) for pid in killed.stdout.split())


@LINUX
def test_they_end_in_the_middle_of_a_picture(png):
    """Whoever asked was killed meanwhile."""
    body = """
    pool._START = ("import time\\nfrom camseek.images import worker\\n"
                   "def decode(*_, **__): time.sleep(1000)\\nworker.decode = decode\\nworker.main()")
    threading.Thread(target=read, daemon=True).start()
    while not (pool._one_pool and pool._one_pool._workers):
        time.sleep(0.01)
    time.sleep(1)
    print(*pids(), flush=True)
    os.kill(os.getpid(), 9)
    """
    killed = program(body, png)
    assert killed.stdout.split()
    assert all(gone(pid) for pid in killed.stdout.split())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_process_that_was_forked_off_makes_its_own(png):
    body = """
    read()
    before = pids()
    child = os.fork()
    if not child:
        code = 0 if read() == "PNG" and not set(before) & set(pids()) else 1
        pool._one_pool.close()
        os._exit(code)
    assert os.waitpid(child, 0)[1] == 0
    assert read() == "PNG" and pids() == before
    print("fine")
    """
    done = program(body, png)
    assert (done.stdout, done.stderr) == ("fine\n", "")


@pytest.mark.skipif(os.name == "nt", reason="Ctrl-C goes to groups otherwise there")
def test_ctrl_c_prints_nothing_from_them(png):
    body = """
    import signal
    # A run of the tests in the background of a shell has it ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    read()
    print("ready", flush=True)
    try:
        while True:
            read()
    except KeyboardInterrupt:
        print(read(), flush=True)
    """
    command = [sys.executable, "-c", PROGRAM + textwrap.dedent(body), str(png)]
    started = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        assert started.stdout.readline() == "ready\n"
        time.sleep(0.2)
        os.killpg(started.pid, signal.SIGINT)
        out, err = started.communicate(timeout=60)
    finally:
        started.kill()
    assert (out, err) == ("PNG\n", "")


def test_a_script_without_a_main_guard_and_a_strangers_folder(png, tmp_path):
    """Its own code is not run again, and nothing is imported from where it stands."""
    stranger = tmp_path / "stranger"
    stranger.mkdir()
    for name in ("PIL", "numpy", "struct", "camseek"):
        (stranger / f"{name}.py").write_text("open('imported', 'w')\nraise SystemExit(3)\n")
    script = tmp_path / "script.py"
    script.write_text(PROGRAM + "print(read(), os.getpid() not in pids())\n")
    command = [sys.executable, str(script), str(png)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=stranger, check=False)
    assert (done.stdout, done.stderr) == ("PNG True\n", "")
    assert not (stranger / "imported").exists()


def test_what_libraries_print_goes_nowhere(make, tmp_path):
    """libtiff writes to standard error, and NumPy warns of NaN."""
    from PIL import Image

    values = np.full((40, 40), np.nan, np.float32)
    values[0] = 3e38
    Image.fromarray(values).save(tmp_path / "nan.tif")
    broken = bytearray((tmp_path / "nan.tif").read_bytes())
    file = io.BytesIO()
    Image.effect_noise((200, 200), 50).save(file, "TIFF", compression="tiff_lzw")
    broken = bytearray(file.getvalue())
    broken[20:400] = os.urandom(380)
    (tmp_path / "broken.tif").write_bytes(broken)
    body = """
    for name in sys.argv[1:]:
        try:
            content = open(name, "rb").read()
            print(read())
        except Exception as error:
            print(type(error).__name__)
    """
    done = program(body, tmp_path / "nan.tif", tmp_path / "broken.tif")
    assert done.stderr == ""
    assert done.stdout.split()[0] == "TIFF"


def test_limits_that_cannot_be():
    from camseek.errors import SettingsError

    for seconds in (0, -1, float("nan"), "60", True, None):
        with pytest.raises(SettingsError, match="max_seconds"):
            Limits(max_seconds=seconds)
    assert Limits(max_seconds=2).max_seconds == 2.0
    assert Limits(max_seconds=2).key != Limits().key


def test_nothing_is_left_open(samples, fresh):
    read(samples["PNG"])
    fresh.close()
    gc.collect()  # a process or pipe that was not closed would warn


def test_errors_that_travel():
    for kind in (TooSlowError, DecoderCrashedError, NotAPictureError, DecoderError):
        error = pickle.loads(pickle.dumps(kind("what", remedy="do")))
        assert (error.message, error.remedy, error.code) == ("what", "do", kind.code)

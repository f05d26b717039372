"""How a service listens."""

import socket

from camseek.service.running import listening


def test_what_is_written_is_sent_at_once():
    """An answer's head and body are two writes; the second must not wait until the first has come."""
    with listening("127.0.0.1", 0) as found, socket.create_connection(found.getsockname()):
        accepted, _ = found.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)

"""Who may do what."""

from fastapi import Request

from camseek.service.problems import ApiError


def may_write(request: Request) -> None:
    """Makes sure that whoever asks may change something.

    Raises:
        ApiError: They may not.
    """
    if "write" not in request.state.scopes:
        raise ApiError(403, "not_permitted", "this may only be read here", "ask whoever runs the service")

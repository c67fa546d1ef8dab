"""Whether ops are being recorded: `no_grad` and `enable_grad`, for a block or a function."""

import contextlib
import threading
from typing import Any


class GradMode(threading.local):
    def __init__(self):
        self.enabled, self.outer = True, []


mode = GradMode()


class SetGradMode(contextlib.ContextDecorator):
    """Switch recording on or off for a block or a function; per thread, re-entrant, restored on exceptions."""

    recording = True

    def __new__(cls, function=None) -> Any:
        self = super().__new__(cls)
        return self if function is None else self(function)  # `@no_grad` works like `@no_grad()`

    def __enter__(self):
        mode.outer.append(mode.enabled)
        mode.enabled = self.recording
        return self

    def __exit__(self, *exception):
        mode.enabled = mode.outer.pop()


class no_grad(SetGradMode):
    """Within it ops are carried out but not recorded: `with no_grad():`, or `@no_grad()` above a function."""

    recording = False


class enable_grad(SetGradMode):
    """Within it ops are recorded again, inside `no_grad` too."""


def grad_enabled():
    """Whether ops are being recorded in this thread."""
    return mode.enabled

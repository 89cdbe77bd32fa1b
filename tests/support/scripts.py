"""Scripts run in this process: a start of Python with torch takes seconds, and most tests are not about it."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest


def run_script(script: Path, *arguments: object) -> int:
    """Run a file as `python FILE ARGUMENTS` does, warnings as errors, and return its exit status."""
    before = set(sys.modules)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [str(script), *map(str, arguments)])
        patch.setattr(sys, "path", [str(script.parent), *sys.path])
        try:
            runpy.run_path(str(script), run_name="__main__")
        except SystemExit as end:
            return end.code if isinstance(end.code, int) else int(end.code is not None)
        finally:
            for name in set(sys.modules) - before:  # modules beside it: other scripts have others of these names
                if Path(getattr(sys.modules[name], "__file__", None) or "/").is_relative_to(script.parents[1]):
                    del sys.modules[name]
    return 0

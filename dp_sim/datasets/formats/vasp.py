"""VASP's output files: their format, which ionic steps are no labels, and advice where ASE cannot read one."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import ParseError, iterparse

#: Line that ends the electronic steps of an ionic step in an OUTCAR; ASE splits the file there too.
_STEP_END = "FREE ENERGIE OF THE ION-ELECTRON SYSTEM"
#: What stands before it where VASP's machine-learned force field made the numbers.
_ML = "ML FREE"
#: Remark on a step whose electronic steps did not converge.
LEFT_OUT = "left out: the electronic steps did not converge (NELM was reached)"
#: Remark on a step without electronic steps, in a run with ML_LMLFF.
MACHINE_LEARNED = "left out: VASP's machine-learned force field made these numbers (ML_LMLFF), not the electronic steps"
_NELM = re.compile(r"\bNELM\s*=\s*(\d+)")
_ITERATION = re.compile(r"Iteration\s+\d+\(\s*(\d+)\)")
#: dpdata's name of each format.
_DPDATA_FORMATS = {"vasp-out": "vasp/outcar", "vasp-xml": "vasp/xml"}


@functools.lru_cache(maxsize=16)
def ase_format(path: Path) -> str | None:
    """Find by content whether a file is `vasp-out` or `vasp-xml`; None for anything else."""
    try:
        with _opened(path) as file:
            head = [file.readline(200) for _ in range(4)]
    except (OSError, UnicodeDecodeError):
        return None
    if any(re.match(r"\s*vasp\.\d", line) for line in head):
        return "vasp-out"
    return "vasp-xml" if any("<modeling>" in line for line in head) else None


def left_out_steps(path: Path, index: str) -> list[str] | None:
    """Tell for each ionic step of a VASP file why it is no label: electronic steps that did not converge, or none.

    A step converged if VASP states that EDIFF was reached or, without such a statement, if it took fewer electronic
    steps than NELM.

    Parameters
    ----------
    path
        The file.
    index
        Which ionic steps, as ASE writes it.

    Returns
    -------
    list of str or None
        A remark, or an empty string for a step that is a label; None for a file of another kind.
    """
    from ase.io.formats import string2index

    kind = ase_format(path)
    if kind is None:
        return None
    if kind == "vasp-out":
        with _opened(path) as file:
            steps = _outcar_steps(file)
    else:
        with _opened(path, "rb") as file:
            steps = _xml_steps(file)
    try:
        picked = steps[string2index(index)]
    except (IndexError, ValueError):  # the reader of the structures says it better
        return None
    return picked if isinstance(picked, list) else [picked]


def way_out(path: Path) -> str | None:
    """Say what to do with a VASP file that ASE cannot read; None for a file of another kind."""
    kind = ase_format(path)
    if kind is None:
        return None
    if _has_machine_learned_steps(path, kind):
        outcar = path if kind == "vasp-out" else path.with_name("OUTCAR")
        return (
            "it holds steps of VASP's machine-learned force field (ML_LMLFF), which ASE does not know; read the OUTCAR "
            f"through dpdata, which takes the other steps: dpdata:vasp/outcar:{outcar} (pip install 'dp-sim[dpdata]')"
        )
    other = "vasprun.xml" if kind == "vasp-out" else "OUTCAR"
    return (
        f"ASE's reader of VASP's files met something that it does not know (the file is cut short or edited, or has "
        f"lines of a correction such as van der Waals); give the {other} of the same run, or read this one through "
        f"dpdata: dpdata:{_DPDATA_FORMATS[kind]}:{path} (pip install 'dp-sim[dpdata]')"
    )


def _has_machine_learned_steps(path: Path, kind: str) -> bool:
    if kind == "vasp-xml":
        return MACHINE_LEARNED in (left_out_steps(path, ":") or ())
    with _opened(path) as file:
        return any(_STEP_END in line and _ML in line for line in file)


def _opened(path: Path, mode: str = "rt") -> Any:
    from ase.io.formats import open_with_compression

    return open_with_compression(str(path), mode)


def _outcar_steps(lines: Iterable[str]) -> list[str]:
    most: int | None = None
    count, reached = 0, None
    steps = []
    for line in lines:
        if "aborting loop" in line:
            reached = "EDIFF is reached" in line
        elif "Iteration" in line and (match := _ITERATION.search(line)):
            count = int(match.group(1))
        elif most is None and (match := _NELM.search(line)):
            most = int(match.group(1))
        elif _STEP_END in line and _ML not in line:
            converged = reached if reached is not None else most is None or count < most
            steps.append("" if converged else LEFT_OUT)
            count, reached = 0, None
    return steps


def _xml_steps(file: Any) -> list[str]:
    most: int | None = None
    learning = False
    steps = []
    try:
        for _, element in iterparse(file):
            if element.tag == "i" and element.get("name") == "NELM" and most is None:
                most = int(element.text or 0)
            elif element.tag == "i" and element.get("name") == "ML_LMLFF":
                learning = learning or (element.text or "").strip().upper().startswith("T")
            elif element.tag == "calculation":
                count = len(element.findall("scstep"))
                converged = most is None or count < most
                steps.append(MACHINE_LEARNED if learning and not count else "" if converged else LEFT_OUT)
                element.clear()
    except ParseError:  # a run that was cut off: the steps before it count
        pass
    return steps

"""YAML from files of others: no tags, no key twice, no deep nesting, and no aliases that unpack to any size."""

from __future__ import annotations

from typing import Any

import yaml

#: Refuses tags of Python objects; libyaml's, where it is there, is ten times faster.
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
#: Aliases may make a document this much larger than it is written, or as large as `SMALL`.
LARGEST_RATIO, SMALL = 10, 10_000


def load_yaml(text: str) -> Any:
    """Parse a YAML document.

    Nine lines of aliases to aliases stand for 10^9 values in the memory of a hundred: harmless until something copies
    or prints them. What they would unpack to is counted before anybody sees the document.

    Raises
    ------
    yaml.YAMLError
        No valid YAML, a tag, a key twice, nesting too deep, or aliases that unpack to far more than is written.
    """
    try:
        content = _parsed(text)
        sizes: dict[int, tuple[int, int]] = {}
        unpacked = _unpacked_size(content, sizes)
    except RecursionError:
        raise yaml.YAMLError("it is nested too deeply, or contains itself") from None
    written = sum(own for own, _ in sizes.values())
    if unpacked > max(SMALL, LARGEST_RATIO * written):
        raise yaml.YAMLError(f"its aliases unpack {written} values to {unpacked}; write them out")
    return content


def _parsed(text: str) -> Any:
    """Parse safely, as yaml.load does, with a look at the nodes between."""
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        _refuse_repeated_keys(node)
        return loader.construct_document(node)
    finally:
        loader.dispose()


def _refuse_repeated_keys(document: yaml.Node) -> None:
    """Refuse a key that a mapping has twice: YAML would take the last value and drop the others in silence.

    Keys that begin with an underscore are comments, as in inputs of DeePMD-kit, and may be repeated.
    """
    left, seen = [document], {id(document)}
    while left:
        node = left.pop()
        inner = list(node.value) if isinstance(node, yaml.SequenceNode) else []
        lines: dict[tuple[str, str], int] = {}
        for key, value in node.value if isinstance(node, yaml.MappingNode) else ():
            inner += [key, value]
            if not isinstance(key, yaml.ScalarNode) or key.value.startswith("_"):
                continue
            line, name = key.start_mark.line + 1, (key.tag, key.value)
            if (first := lines.get(name)) is not None:
                raise yaml.YAMLError(f"'{key.value}' stands in line {first} and again in line {line}; keep one of them")
            lines[name] = line
        for one in inner:
            if id(one) not in seen and not isinstance(one, yaml.ScalarNode):
                seen.add(id(one))
                left.append(one)


def _unpacked_size(node: Any, sizes: dict[int, tuple[int, int]]) -> int:
    """Count the values of a document, each alias with all that it stands for.

    Parameters
    ----------
    sizes
        Filled with the values written in each mapping or list, and those that it unpacks to, by its id.
    """
    if not isinstance(node, (dict, list)):
        return 1
    if id(node) not in sizes:
        values = [*node.keys(), *node.values()] if isinstance(node, dict) else node
        sizes[id(node)] = (1 + len(values), 1 + sum(_unpacked_size(value, sizes) for value in values))
    return sizes[id(node)][1]

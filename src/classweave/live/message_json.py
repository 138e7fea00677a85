"""Messages in stored JSON: English text for programs, and how it was made for pages.

A row keeps its sentences in English, as the interface gives them out. Beside them, under
``messages``, stands how each that carries values was made, by its English text; a page says it in
its reader's language from that.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

from classweave.core.model import Json
from classweave.language.messages import Message, remake

_KEY = "messages"


def with_messages(row: Json) -> Json:
    """``row`` with how each of its messages was made; one without values is its own pattern."""
    made = {str(message): _parts(message) for message in _messages(row)}
    return {**row, _KEY: made} if made else row


def restore_messages(row: Mapping[str, Any]) -> Json:
    """The inverse of :func:`with_messages`."""
    made = {text: _remade(parts) for text, parts in row.get(_KEY, {}).items()}
    return {key: _restored(value, made) for key, value in row.items() if key != _KEY}


def _messages(node: object) -> Iterator[Message]:
    if isinstance(node, Message):
        if node.values:
            yield node
    elif isinstance(node, Mapping):
        for value in cast(Mapping[str, object], node).values():
            yield from _messages(value)
    elif isinstance(node, list | tuple):
        for value in cast(list[object], node):
            yield from _messages(value)


def _parts(node: object) -> Any:
    """A message as an object; a tuple as a list; anything else as it is."""
    if isinstance(node, Message):
        return {
            "pattern": node.pattern,
            "plural": node.plural,
            "n": node.n,
            "values": {key: _parts(value) for key, value in node.values.items()},
        }
    if isinstance(node, tuple):
        return [_parts(value) for value in cast(tuple[object, ...], node)]
    return node


def _remade(node: Any) -> Any:
    if isinstance(node, list):
        return tuple(_remade(value) for value in cast(list[object], node))
    if isinstance(node, dict):
        parts = cast(Json, node)
        values = {key: _remade(value) for key, value in parts["values"].items()}
        return remake(parts["pattern"], parts["plural"], parts["n"], values)
    return node


def _restored(node: Any, made: Mapping[str, Message]) -> Any:
    if isinstance(node, str):
        return made.get(node, node)
    if isinstance(node, dict):
        return {key: _restored(value, made) for key, value in cast(Json, node).items()}
    if isinstance(node, list):
        return [_restored(value, made) for value in cast(list[object], node)]
    return node

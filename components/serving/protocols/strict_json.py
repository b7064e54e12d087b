"""JSON of clients: what two parsers could read differently is refused.

A key that stands twice in an object, of which most parsers keep the last value in silence, NaN and Infinity, which
are no JSON, half a surrogate pair, which is no text, and nesting without end.
"""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn

from components.serving.errors import InvalidRequest, shown
from models.strict_json import DuplicateKeyError, unique_keys

# Up to the next list or object that begins, past texts.
_CONTAINER = re.compile(rb'(?:[^"\[{]++|"(?:[^"\\]++|\\.)*+")*+[\[{]', re.DOTALL)
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")  # half of a pair; the halves of a whole one stand in a row


def parse(body: bytes, rows: int) -> Any:
    """`b'{"instances": ["a"]}'` -> `{"instances": ["a"]}`.

    Args:
        rows: the most that a request may have. It bounds the lists and objects, of which 3 bytes make 80.

    Raises:
        InvalidRequest: not one JSON value in UTF-8, or one of those named above.
    """
    _check_containers(body, 1000 + 8 * rows)
    try:
        text = body.decode()
        content = _DECODER.decode(text)
        if _SURROGATE.search(text):
            json.dumps(content, ensure_ascii=False).encode()
    except UnicodeDecodeError as error:
        raise InvalidRequest(f"JSON Parse error: the body is not UTF-8 at byte {error.start}") from None
    except UnicodeEncodeError:
        raise InvalidRequest("JSON Parse error: a text has half a surrogate pair") from None
    except RecursionError:
        raise InvalidRequest("JSON Parse error: the body is nested too deeply") from None
    except DuplicateKeyError as error:
        raise InvalidRequest(
            f"the JSON body has the key {shown(error.key)} twice in one object; give it once"
        ) from None
    except ValueError as error:  # also of a number with thousands of digits
        raise InvalidRequest(f"JSON Parse error: {error}") from None
    return content


def _check_containers(body: bytes, most: int) -> None:
    if body.count(b"[") + body.count(b"{") <= most:  # also those in texts
        return
    end = 0
    for _ in range(most + 1):
        found = _CONTAINER.match(body, end)
        if found is None:
            return
        end = found.end()
    raise InvalidRequest(f"the JSON body has more than {most} lists and objects; send fewer rows at once")


def _no_constant(name: str) -> NoReturn:
    raise InvalidRequest(f"JSON Parse error: {name} is not JSON")


_DECODER = json.JSONDecoder(object_pairs_hook=unique_keys, parse_constant=_no_constant)

"""Parses clients' JSON and rejects what two parsers could interpret differently.

That is: a repeated key in an object, of which most parsers silently keep the last value; NaN and Infinity, which
are not JSON; a lone surrogate, which is not text; and excessive nesting.
"""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn

from components.serving.errors import InvalidRequest, shown
from models.strict_json import DuplicateKeyError, unique_keys

# Up to the start of the next list or object, skipping texts.
_CONTAINER = re.compile(rb'(?:[^"\[{]++|"(?:[^"\\]++|\\.)*+")*+[\[{]', re.DOTALL)
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")  # half of a surrogate pair; a complete pair has two in a row


def parse(body: bytes, rows: int) -> Any:
    """`b'{"instances": ["a"]}'` -> `{"instances": ["a"]}`.

    Args:
        rows: maximum rows of a request. It limits lists and objects, which take 80 bytes for 3 bytes of JSON.

    Raises:
        InvalidRequest: the body is not a single JSON value in UTF-8, or has one of the faults named above.
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
    except ValueError as error:  # also raised for a number with thousands of digits
        raise InvalidRequest(f"JSON Parse error: {error}") from None
    return content


def _check_containers(body: bytes, most: int) -> None:
    if body.count(b"[") + body.count(b"{") <= most:  # counts those in texts too
        return
    end = 0
    for _ in range(most + 1):
        match = _CONTAINER.match(body, end)
        if match is None:
            return
        end = match.end()
    raise InvalidRequest(f"the JSON body has more than {most} lists and objects; send fewer rows at once")


def _no_constant(name: str) -> NoReturn:
    raise InvalidRequest(f"JSON Parse error: {name} is not JSON")


_DECODER = json.JSONDecoder(object_pairs_hook=unique_keys, parse_constant=_no_constant)

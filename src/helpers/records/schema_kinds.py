"""What became of one text that a language model was asked about: the kinds that a record counts."""

from typing import Literal

Kind = Literal[
    "category",
    "off-list",
    "several-categories",
    "bad-format",
    "empty",
    "truncated",
    "reasoning-open",
    "http-error",
    "timeout",
    "connection-lost",
    "malformed",
    "oversized",
    "not-sent",
]
"""What became of one text:

- `category`: one of the categories was answered; the only kind that can be correct.
- `off-list`: a value was answered that is no category.
- `several-categories`: the value names more than one category.
- `bad-format`: the marker `[[ ## category ## ]]` is missing.
- `empty`: nothing was answered, or nothing after the marker.
- `truncated`: the tokens ran out before the line with the category was complete.
- `reasoning-open`: the thinking was not closed (`</think>` is missing), mostly since the tokens ran out.
- `http-error`: the server refused the request or failed (status other than 200).
- `timeout`: no answer within `timeout_s`.
- `connection-lost`: no connection, or it ended before the answer was complete.
- `malformed`: the response is not the JSON of a chat completion.
- `oversized`: the response is larger than any answer can be; it was not read to its end.
- `not-sent`: the text cannot be sent (it is no valid Unicode).
"""

"""Two protocols of asking a language model: the companion's own, and DSPy's defaults of the time of the paper's runs.

The paper (section 3.2, Appendix A) prints the prompt and names DSPy, but neither its version nor its settings. The
prompt dates it: up to 2.6.25 DSPy wrote it without the colon after `(str)` that 2.6.26 (June 2025) writes. In the
releases 2.5.43 (December 2024) to 2.6.23 (May 2025) `dspy.LM` had temperature 0.0, max_tokens 1000 (4000 from 2.6.24
on) and a cache that was on; an answer that `dspy.ChatAdapter` could not parse was requested again as JSON, under a
schema where the client took the server for one of OpenAI's kind.

Not taken over from then, for the installed DSPy asks and reads:

- Releases up to 2.6.5 dropped a value that stands beside its marker; from 2.6.13 on it is read.
- Where an answer under the schema could not be parsed either, some releases asked a third time, for any JSON.
- DSPy sent a request that failed again, up to 8 times; here a request that failed is counted.
- The cache lay on disk, for all runs of a user; see `helpers.models.llm.answer_cache`.
"""

from collections.abc import Mapping
from typing import Any, Literal

Protocol = Literal["companion", "dspy-2025"]
"""`companion`: 128 tokens and thinking on top, one request for a text, and `helpers.models.llm.answer_parser` reads the answer.

`dspy-2025`: 1000 tokens, thinking included, a second request (JSON) where DSPy cannot parse the first answer, and DSPy
reads it: the value that its parser finds has to be a category, letter by letter.
"""
DSPY_2025: Mapping[str, Any] = {
    "max_tokens": 1000,
    "temperature": 0.0,
    "json_fallback": True,
    "output_mode": "free",
    "weights": "real",
}
"""Parameters of a run that `dspy-2025` sets; random weights never answer in the format, so each text would be asked twice."""

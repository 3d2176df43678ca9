"""Chat turns: the table, stream and whole, and what no table can say."""

from __future__ import annotations

import pytest

from o2o.translate.chat import completion, head
from o2o.translate.turn import Stamp
from o2o.translate.usage import total
from tests.cases import Case, played
from tests.driving import Cut, at_once, play, singly
from tests.table import check_asked, check_choices, check_error

STAMP = Stamp("chatcmpl-1", 1_700_000_000, "m", "fp_0123456789")


@pytest.mark.parametrize("cut", [singly, at_once])
@pytest.mark.parametrize(("case", "whole"), played("chat"))
def test_case(case: Case, whole: bool, cut: Cut) -> None:
    done = play(case, whole=whole, cut=cut)
    check_asked(case, done.asked, whole=whole)
    check_error(case, done.error, whole=whole)
    if done.error is not None:
        if not whole:
            check_choices(case, done.choices)
        return
    if whole:
        made = completion(STAMP, done.choices, total([turn.usage for turn in done.turns]))
        assert {"choices": made["choices"], "usage": made["usage"]} == case.completion()
    else:
        assert done.choices == case.choices()
    warnings = case.get("headers", {}).get("x-o2o-warning", "")
    assert ", ".join(dict.fromkeys(done.warnings)) == warnings


def test_a_chunk_and_a_completion_carry_the_same_stamp() -> None:
    stamped = {
        "id": "chatcmpl-1",
        "created": 1_700_000_000,
        "model": "m",
        "service_tier": "default",
        "system_fingerprint": "fp_0123456789",
    }
    assert head(STAMP) == {**stamped, "object": "chat.completion.chunk"}
    assert completion(STAMP, [], {"total_tokens": 0}) == {
        **stamped,
        "object": "chat.completion",
        "choices": [],
        "usage": {"total_tokens": 0},
    }

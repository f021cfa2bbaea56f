"""vLLM's own counters: read from its metrics, summed, subtracted."""

from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.models.llm.server_metrics import EngineCounters, read_counters, requests_open
from tests.conftest import refusal

# As vLLM 0.32 gives them.
METRICS = """\
# HELP vllm:prompt_tokens_total Number of prefill tokens processed.
# TYPE vllm:prompt_tokens_total counter
vllm:num_requests_running{engine="0",model_name="tiny"} 1.0
vllm:num_requests_waiting{engine="0",model_name="tiny"} 2.0
vllm:num_requests_waiting_by_reason{engine="0",model_name="tiny",reason="capacity"} 2.0
vllm:prefix_cache_queries_total{engine="0",model_name="tiny"} 6.0
vllm:prefix_cache_queries_created{engine="0",model_name="tiny"} 1.7952160870468047e+09
vllm:prefix_cache_hits_total{engine="0",model_name="tiny"} 3.0
vllm:prompt_tokens_total{engine="0",model_name="tiny"} 1.234567e+06
vllm:prompt_tokens_created{engine="0",model_name="tiny"} 1.795216087046894e+09
vllm:prompt_tokens_by_source_total{engine="0",model_name="tiny",source="local_compute"} 6.0
vllm:generation_tokens_total{engine="0",model_name="tiny"} 4.0
vllm:request_success_total{engine="0",finished_reason="stop",model_name="tiny"} 2.0
vllm:request_success_total{engine="0",finished_reason="length",model_name="tiny"} 1.0
vllm:request_success_total{engine="0",finished_reason="abort",model_name="tiny"} 1.0
vllm:time_to_first_token_seconds_bucket{engine="0",le="0.001",model_name="tiny"} 0.0
vllm:time_to_first_token_seconds_count{engine="0",model_name="tiny"} 3.0
vllm:time_to_first_token_seconds_sum{engine="0",model_name="tiny"} 0.02385425567626953
"""
COUNTERS = st.builds(
    EngineCounters,
    **{
        field.name: st.floats(0, 1e6) if field.name == "ttft_sum_s" else st.integers(0, 10**12)
        for field in fields(EngineCounters)
    },
)


def test_counters_are_read_and_requests_of_any_end_are_added():
    assert read_counters(METRICS) == EngineCounters(4, 1_234_567, 4, 6, 3, 0.02385425567626953, 3)
    assert requests_open(METRICS) == 3


def test_counters_of_several_engines_are_added():
    two = METRICS + METRICS.replace('engine="0"', 'engine="1"')
    assert read_counters(two).prompt_tokens == 2 * 1_234_567
    assert read_counters(two).requests == 8


@pytest.mark.parametrize(
    "text", ["", "<html>", METRICS.replace("vllm:generation_tokens_total", "vllm:other")]
)
def test_a_missing_counter_is_told_and_never_taken_for_zero(text):
    assert "vLLM 0.32" in refusal(read_counters, text)


@given(before=COUNTERS, between=COUNTERS)
def test_a_difference_added_again_gives_the_later_counts(before, between):
    later = EngineCounters(
        *(getattr(before, field.name) + getattr(between, field.name) for field in fields(EngineCounters))
    )
    difference = later - before
    for field in fields(EngineCounters):
        assert getattr(difference, field.name) == pytest.approx(getattr(between, field.name), abs=1e-6)

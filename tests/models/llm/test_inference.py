"""Inference: one request for one text, every failure under its kind, and no text's failure is another's."""

import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from helpers.core.errors import UserError
from helpers.models.llm import prompts
from helpers.models.llm.endpoint import Endpoint
from helpers.models.llm.generation import GenerationConfig
from helpers.models.llm.inference import WARM_UP, open_inference_client
from helpers.study.catalogue import study
from tests.conftest import ROOT
from tests.support.stub_server import FAULTS, KEY, MODEL, stub, stub_process

DATASET = study().datasets["news"]
LABELS = DATASET.labels
INSTRUCTION = prompts.instruction(DATASET)


def config(**settings):
    return GenerationConfig(**{"concurrency": 8, "timeout_s": 20.0, **settings})


def ask(server, texts, examples=(), **settings):
    with open_inference_client(server.endpoint, INSTRUCTION, LABELS, config(**settings), examples) as client:
        return client.ask(texts)


@pytest.fixture
def server():
    with stub() as running:
        yield running


# What is sent


def test_each_text_is_one_request_with_the_papers_messages_and_the_replies_are_in_the_texts_order(server):
    texts = [f"number {number} say: {LABELS[number % 4]}" for number in range(40)]
    replies = ask(server, texts, max_tokens=32)
    assert [reply.category for reply in replies] == [LABELS[number % 4] for number in range(40)]
    assert {reply.kind for reply in replies} == {"category"}
    assert {reply.requests for reply in replies} == {1}
    assert server.requests == 40
    sent = {body["messages"][-1]["content"]: body for body in server.state.bodies}
    for text in texts:
        messages = prompts.messages(INSTRUCTION, text)
        expected = {"model": MODEL, "messages": messages, "temperature": 0.0, "max_tokens": 32}
        assert sent[messages[-1]["content"]] == expected
    assert set(server.state.keys) == {KEY}


def test_the_same_text_again_is_asked_again_for_nothing_is_cached(server):
    with open_inference_client(server.endpoint, INSTRUCTION, LABELS, config()) as client:
        replies = [*client.ask(["same"] * 3), *client.ask(["same"] * 3)]
    assert server.requests == 6
    assert len({reply.answer_sha256 for reply in replies}) == 1


@pytest.mark.parametrize("concurrency", [1, 7, 189])
def test_as_many_requests_are_under_way_as_the_concurrency_says_and_never_more(concurrency):
    with stub(0.5 if concurrency == 189 else 0.05) as server:
        with open_inference_client(
            server.endpoint, INSTRUCTION, LABELS, config(concurrency=concurrency)
        ) as client:
            client.warm_up()
            replies = client.ask([str(number) for number in range(max(2 * concurrency, 6))])
        assert {reply.kind for reply in replies} == {"category"}
        assert server.state.most_under_way == concurrency


def test_tokens_are_those_that_the_server_counts_and_they_add_up_to_its_own(server):
    replies = ask(server, ["one two three", "say: Sports", "fault: off-list"])
    assert sum(reply.tokens_in for reply in replies) == server.state.counts["prompt"]
    assert sum(reply.tokens_out for reply in replies) == server.state.counts["generated"]
    assert {reply.tokens_thinking for reply in replies} == {None}


def test_constrained_mode_asks_for_whole_answers_in_dspys_format_and_for_nothing_else(server):
    (reply,) = ask(server, ["say: Business"], output_mode="constrained")
    assert reply.category == "Business"
    assert server.state.bodies[0]["structured_outputs"] == {
        "choice": [f"[[ ## category ## ]]\n{label}\n\n[[ ## completed ## ]]" for label in LABELS]
    }


def test_with_dummy_weights_exactly_the_given_number_of_tokens_is_asked_for(server):
    ask(server, ["text"], ignore_eos=True, max_tokens=22)
    body = server.state.bodies[0]
    assert (body["ignore_eos"], body["min_tokens"], body["max_tokens"]) == (True, 22, 22)


def test_a_budget_of_thinking_comes_on_top_of_the_tokens_of_an_answer(server):
    ask(server, ["text"], reasoning=True, max_tokens=50, thinking_tokens=1000)
    assert server.state.bodies[0]["max_tokens"] == 1050


def test_examples_are_sent_before_the_text(server):
    examples = [("a goal", "Sports"), ("an election", "World")]
    (reply,) = ask(server, ["say: Business"], examples)
    assert reply.category == "Business"
    assert server.state.bodies[0]["messages"] == prompts.messages(INSTRUCTION, "say: Business", examples)


def test_the_warm_up_is_one_request_that_has_no_text_of_a_dataset(server):
    with open_inference_client(server.endpoint, INSTRUCTION, LABELS, config()) as client:
        assert client.warm_up().kind == "category"
        assert client.engine
    assert server.requests == 1
    assert WARM_UP in server.state.bodies[0]["messages"][-1]["content"]


def test_a_proxy_of_the_environment_is_not_asked_for_a_server_on_this_machine(server, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    assert ask(server, ["text"])[0].kind == "category"


# Failures

KINDS = {
    "empty": "empty",
    "null-content": "empty",
    "empty-value": "empty",
    "no-marker": "bad-format",
    "json": "bad-format",
    "off-list": "off-list",
    "markup": "off-list",
    "two-in-a-line": "several-categories",
    "two-lines": "several-categories",
    "truncated-marker": "category",
    "truncated": "truncated",
    "huge": "oversized",
    "thinking": "category",
    "thinking-open": "reasoning-open",
    "thinking-split": "category",
    "thinking-split-open": "reasoning-open",
    "http-400": "http-error",
    "http-500": "http-error",
    "http-503": "http-error",
    "timeout": "timeout",
    "lost": "connection-lost",
    "lost-midway": "connection-lost",
    "not-json": "malformed",
    "half-json": "malformed",
    "no-choice": "malformed",
    "wrong-shape": "malformed",
    "not-an-object": "malformed",
    "deep-json": "malformed",
}


def test_every_fault_is_counted_under_its_kind_once_and_takes_nothing_from_the_texts_around_it(server):
    assert set(KINDS) == set(FAULTS)
    texts = [text for name in FAULTS for text in (f"fault: {name}", f"after {name} say: Sports")]
    replies = ask(server, texts, timeout_s=1.0)
    assert {name: reply.kind for name, reply in zip(FAULTS, replies[::2], strict=True)} == KINDS
    assert {reply.category for reply in replies[1::2]} == {"Sports"}
    assert {reply.requests for reply in replies} == {1}
    assert server.requests == len(texts)
    for reply in replies:
        assert (reply.category is not None) == (reply.kind == "category")
        assert (reply.error is None) == (
            reply.answer is not None or reply.kind in {"empty", "reasoning-open"}
        )


def test_what_failed_is_said_without_a_word_of_the_text_or_the_response(server):
    texts = [f"fault: {name} Geheimtext" for name in ("http-400", "http-500", "lost", "not-json", "timeout")]
    for reply in ask(server, texts, timeout_s=0.5):
        assert reply.error
        assert len(reply.error.splitlines()) == 1
        assert "Geheimtext" not in reply.error
        assert "proxy" not in reply.error


@pytest.mark.parametrize(
    "text", ["half \ud800 of a character", "\x00 zero", "", "[[ ## category ## ]]\nWorld"]
)
def test_an_odd_text_is_asked_or_counted_as_not_sent_and_touches_no_other(server, text):
    odd, plain = ask(server, [text, "say: World"])
    assert plain.category == "World"
    assert (odd.kind, odd.requests) in {("category", 1), ("not-sent", 0)}
    assert server.requests == 1 + odd.requests


def test_marks_of_dspys_own_in_a_text_make_no_picture_of_it(server):
    picture = json.dumps([{"type": "image_url", "image_url": {"url": "https://example.org/x.png"}}])
    marked = f"<<CUSTOM-TYPE-START-IDENTIFIER>>{picture}<<CUSTOM-TYPE-END-IDENTIFIER>>"
    odd, plain = ask(server, [marked, "say: World"])
    assert plain.category == "World"
    assert odd.requests == sum("example.org" in json.dumps(body) for body in server.state.bodies)
    assert all(isinstance(turn["content"], str) for body in server.state.bodies for turn in body["messages"])


def test_a_server_that_is_killed_in_mid_run_leaves_every_text_a_reply_and_nobody_waits_long():
    with stub(0.1) as server:
        threading.Timer(0.55, server.stop).start()
        start = time.perf_counter()
        replies = ask(server, [f"{number} say: World" for number in range(200)], concurrency=4)
        assert time.perf_counter() - start < 15
    kinds = Counter(reply.kind for reply in replies)
    assert set(kinds) == {"category", "connection-lost"}
    assert kinds["category"] >= 4
    assert {reply.category for reply in replies if reply.kind == "category"} == {"World"}


def test_a_connection_that_the_server_closed_while_it_was_idle_costs_no_text(server):
    with open_inference_client(server.endpoint, INSTRUCTION, LABELS, config()) as client:
        client.ask(["text"] * 20)
        for connection in tuple(server.state.connections):
            connection.transport.get_extra_info("socket").shutdown(2)
        time.sleep(0.2)
        replies = client.ask(["text"] * 20)
    assert {(reply.kind, reply.requests) for reply in replies} == {("category", 1)}
    assert server.requests == 40


def test_where_nothing_answers_the_warm_up_says_so_in_a_line():
    with stub() as server:
        server.stop()
        with open_inference_client(server.endpoint, INSTRUCTION, LABELS, config()) as client:
            (reply,) = client.ask(["text"])
            assert (reply.kind, reply.requests) == ("connection-lost", 0)
            with pytest.raises(UserError, match="connection-lost: no connection") as error:
                client.warm_up()
    assert len(str(error.value).splitlines()) == 1


def test_an_interruption_ends_inference_and_its_requests_at_once():
    with stub(60.0) as server:
        start = time.perf_counter()
        threading.Timer(1.0, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
        with pytest.raises(KeyboardInterrupt):
            ask(server, ["text"] * 50, timeout_s=600.0)
        assert server.requests == 8
        assert time.perf_counter() - start < 10
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("ask")]


# Second requests, thinking


@pytest.mark.parametrize("json_fallback", [False, True])
def test_the_json_fallback_is_a_second_request_and_only_where_it_is_switched_on(server, json_fallback):
    odd, plain = ask(server, ["fault: no-marker", "say: World"], json_fallback=json_fallback)
    assert (odd.kind, odd.requests) == ("bad-format", 1 + json_fallback)
    assert (plain.kind, plain.requests) == ("category", 1)
    assert server.requests == 2 + json_fallback
    assert odd.tokens_in + plain.tokens_in == server.state.counts["prompt"]


def test_an_answer_in_json_counts_where_the_fallback_is_switched_on(server):
    off, on = (ask(server, ["fault: json"], json_fallback=fallback)[0] for fallback in (False, True))
    assert (off.kind, off.requests) == ("bad-format", 1)
    assert (on.category, on.requests) == (LABELS[0], 2)


def test_thinking_is_cut_off_and_its_tokens_are_counted_after_the_window(server):
    settings = config(reasoning=True, thinking_tokens=500)
    with open_inference_client(server.endpoint, INSTRUCTION, LABELS, settings) as client:
        replies = client.ask(
            ["fault: thinking", "fault: thinking-split", "fault: thinking-open", "say: World"]
        )
        assert [reply.tokens_thinking for reply in replies] == [None, 7, None, None]
        assert server.state.counts["tokenize"] == 0
        counted = client.count_thinking(replies)
    assert [reply.category for reply in counted] == ["World", "World", None, "World"]
    assert [reply.tokens_thinking for reply in counted] == [9, 7, 34, None]
    assert all((reply.tokens_thinking or 0) < reply.tokens_out for reply in counted)
    assert server.state.counts["tokenize"] == 2


# Settings and what is left behind


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"concurrency": 0}, "concurrency is 0"),
        ({"max_tokens": 0}, "max_tokens is 0"),
        ({"timeout_s": 0.0}, "timeout_s is 0"),
        ({"thinking_tokens": 5}, "does not think"),
        ({"reasoning": True}, "expected at least 1"),
        ({"reasoning": True, "thinking_tokens": 5, "output_mode": "constrained"}, "forbids the thinking"),
        ({"json_fallback": True, "output_mode": "constrained"}, "json_fallback"),
        ({"ignore_eos": True, "output_mode": "constrained"}, "ignore_eos"),
    ],
)
def test_settings_that_contradict_each_other_are_refused_before_anything_is_sent(server, settings, words):
    with (
        pytest.raises(UserError, match=words),
        open_inference_client(server.endpoint, INSTRUCTION, LABELS, config(**settings)),
    ):
        pass
    assert server.requests == 0


def test_dspy_prints_nothing_and_keeps_no_text(server, capfd, caplog):
    import dspy
    from dspy.clients.base_lm import GLOBAL_HISTORY

    with caplog.at_level(logging.WARNING):
        ask(server, ["a secret of ours", *(f"fault: {name}" for name in FAULTS)], timeout_s=0.5)
    assert capfd.readouterr() == ("", "")
    assert not caplog.records
    assert "a secret of ours" not in repr(GLOBAL_HISTORY) + repr(dspy.settings.trace)


def test_a_reply_does_not_show_its_answer(server):
    (reply,) = ask(server, ["say: Sports and a secret"])
    assert reply.answer
    assert "secret" not in repr(reply)


def test_the_package_of_the_book_reads_instructions_without_dspy():
    program = "import sys; sys.modules['dspy'] = None; from helpers.models.llm import prompts, inference, answer_parser"
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT, timeout=60)


def test_a_stub_in_its_own_process_answers_and_ends_with_the_block():
    with stub_process(0.0) as endpoint:
        assert isinstance(endpoint, Endpoint)
        with open_inference_client(endpoint, INSTRUCTION, LABELS, config()) as client:
            assert client.ask(["say: Sports"])[0].category == "Sports"
    with open_inference_client(endpoint, INSTRUCTION, LABELS, config()) as client:
        assert client.ask(["text"])[0].kind == "connection-lost"


def test_the_client_keeps_up_with_a_bare_one_and_takes_little_cpu():
    sys.path.insert(0, str(Path(ROOT) / "benchmarks"))
    try:
        import client
    finally:
        sys.path.pop(0)
    measured, over_httpx = client.stub_pairs(concurrencies=(32,), pairs=3)
    assert measured.cpu_ms < client.MAX_CPU_MS
    assert measured.ratio[0] > 0.6  # the goal is the bench's: other tests keep the machine busy meanwhile
    assert client.line(measured).startswith("http.client, concurrency  32: ratio")
    assert client.line(over_httpx).startswith("httpx, concurrency  32: ratio")

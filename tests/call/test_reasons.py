"""One row for each cause: what the listeners, RELAY and an unanswered caller get to know."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cordboard.call import causes
from cordboard.call.reasons import (
    CAUSES,
    EndReason,
    callback_word,
    caller_code,
    cause_of_status,
    ending,
    ending_of_status,
    q850_cause,
    relay_word,
)

# status, cause, callback word, RELAY word, code to an unanswered caller
STATUS_ROWS = [
    (486, "user_busy", "busy", "busy", 486),
    (600, "busy_everywhere", "busy", "busy", 600),
    (603, "call_rejected", "declined", "decline", 603),
    (608, "call_rejected", "declined", "decline", 608),
    (607, "unwanted", "declined", "decline", 607),
    (401, "credentials_refused", "declined", "decline", 603),
    (407, "credentials_refused", "declined", "decline", 603),
    (402, "forbidden", "declined", "decline", 402),
    (403, "forbidden", "declined", "decline", 403),
    (480, "unavailable", "no_answer", "noAnswer", 480),
    (408, "far_end_timeout", "no_answer", "noAnswer", 408),
    (504, "gateway_timeout", "error", "error", 504),
    (487, "terminated_by_far_end", "cancel", "cancel", 487),
    (404, "not_found", "error", "notFound", 404),
    (485, "no_route_at_far_end", "error", "error", 485),
    (604, "no_route_at_far_end", "error", "error", 604),
    (410, "number_changed", "error", "error", 410),
    (484, "number_incomplete", "error", "error", 484),
    (488, "incompatible", "error", "error", 488),
    (606, "incompatible", "error", "error", 606),
    (406, "not_implemented", "error", "error", 501),
    (415, "not_implemented", "error", "error", 501),
    (501, "not_implemented", "error", "error", 501),
    (413, "request_refused", "error", "error", 480),
    (414, "request_refused", "error", "error", 480),
    (416, "request_refused", "error", "error", 480),
    (420, "request_refused", "error", "error", 480),
    (421, "request_refused", "error", "error", 480),
    (423, "request_refused", "error", "error", 480),
    (505, "request_refused", "error", "error", 480),
    (513, "request_refused", "error", "error", 480),
    (405, "calls_not_allowed", "error", "error", 480),
    (400, "bad_request", "error", "error", 503),
    (481, "bad_request", "error", "error", 503),
    (500, "server_failure", "error", "error", 500),
    (503, "server_failure", "error", "error", 503),
    (502, "bad_gateway", "error", "error", 502),
    (482, "routing_loop", "error", "error", 483),
    (483, "routing_loop", "error", "error", 483),
    (428, "identity_refused", "error", "error", 428),
    (429, "identity_refused", "error", "error", 429),
    (437, "identity_refused", "error", "error", 437),
    (438, "identity_refused", "error", "error", 438),
    (302, "redirected", "error", "error", 480),
    (409, "refused", "error", "error", 480),
    (491, "refused", "error", "error", 480),
    (580, "refused", "error", "error", 480),
    (699, "refused", "error", "error", 480),
]

# cause, callback word, RELAY word, code to an unanswered caller
OTHER_ROWS = [
    ("ring_timeout", "no_answer", "noAnswer", 480),
    ("confirm_timeout", "no_answer", "noAnswer", 480),
    ("confirm_declined", "declined", "decline", 603),
    ("confirm_hung_up", "declined", "decline", 603),
    ("confirm_failed", "error", "error", 503),
    ("transferred", "hangup", "hangup", 480),
    ("transfer_failed", "error", "error", 480),
    ("refer_refused", "declined", "decline", 603),
    ("refer_unanswered", "no_answer", "noAnswer", 480),
    ("refer_unsent", "error", "error", 503),
    ("refer_impossible", "error", "error", 480),
    ("refer_untold", "error", "error", 480),
    ("lost_race", "cancel", "cancel", 487),
    ("caller_gone", "cancel", "cancel", 487),
    ("caller_cancelled", "cancel", "cancel", 487),
    ("hangup_far_end", "hangup", "hangup", 480),
    ("hangup_peer", "hangup", "hangup", 480),
    ("hangup_script", "hangup", "hangup", 480),
    ("script_busy", "busy", "busy", 486),
    ("script_declined", "declined", "decline", 603),
    ("client_hung_up", "hangup", "hangup", 480),
    ("client_cancelled", "cancel", "cancel", 487),
    ("client_busy", "busy", "busy", 486),
    ("client_no_answer", "no_answer", "noAnswer", 480),
    ("client_declined", "declined", "decline", 603),
    ("client_failed", "error", "error", 503),
    ("client_gone", "hangup", "hangup", 480),
    ("no_client", "no_answer", "noAnswer", 480),
    ("disconnected", "hangup", "hangup", 480),
    ("script_ended", "hangup", "hangup", 480),
    ("max_duration", "hangup", "maxDuration", 480),
    ("server_stopping", "hangup", "hangup", 503),
    ("invite_timeout", "error", "error", 503),
    ("transport_failed", "error", "error", 503),
    ("connection_failed", "error", "error", 503),
    ("dns_failed", "error", "error", 502),
    ("price_too_high", "error", "error", 403),
    ("trunk_unavailable", "error", "error", 503),
    ("policy_refused", "error", "error", 403),
    ("prefix_not_allowed", "error", "error", 403),
    ("from_not_allowed", "error", "error", 403),
    ("no_trunk", "error", "error", 503),
    ("no_port", "error", "error", 503),
    ("codec_mismatch", "error", "error", 488),
    ("no_sdp", "error", "error", 488),
    ("bad_sdp", "error", "error", 488),
    ("encryption_refused", "error", "error", 488),
    ("encryption_forbidden", "error", "error", 488),
    ("encryption_not_offered", "error", "error", 488),
    ("no_ack", "error", "error", 503),
    ("dialog_timeout", "error", "error", 503),
    ("transport_unsupported", "error", "error", 503),
    ("session_expired", "error", "error", 503),
    ("media_timeout", "error", "error", 503),
    ("media_worker_died", "error", "error", 503),
    ("server_restarted", "error", "error", 503),
    ("script_failed", "error", "error", 503),
    ("document_failed", "error", "error", 503),
    ("bad_plan", "error", "error", 480),
    ("bad_destination", "error", "error", 480),
    ("no_document", "error", "notFound", 404),
    ("source_refused", "error", "error", 403),
    ("overloaded", "error", "error", 503),
    ("store_failing", "error", "error", 503),
    ("internal_error", "error", "error", 500),
]


@pytest.mark.parametrize(("status", "cause", "word", "relay", "code"), STATUS_ROWS)
def test_a_status_code_has_its_cause_words_and_code(
    status: int, cause: str, word: str, relay: str, code: int
) -> None:
    end = ending_of_status(status, "Reason Phrase", who="sip:bob@example.com")
    assert (end.cause, callback_word(end), relay_word(end), caller_code(end)) == (cause, word, relay, code)
    assert (end.sip_code, end.sip_reason) == (status, "Reason Phrase")
    assert "sip:bob@example.com" in end.sentence
    assert f"({status} Reason Phrase)" in end.sentence


@pytest.mark.parametrize(("cause", "word", "relay", "code"), OTHER_ROWS)
def test_a_cause_has_its_words_and_code(cause: str, word: str, relay: str, code: int) -> None:
    end = ending(cause, who="sip:bob@example.com", detail="it said so")
    assert (callback_word(end), relay_word(end), caller_code(end)) == (word, relay, code)
    assert end.sentence.endswith(".")
    assert "{" not in end.sentence


def test_every_cause_of_the_table_has_a_row_here() -> None:
    assert set(CAUSES) == {row[1] for row in STATUS_ROWS} | {row[0] for row in OTHER_ROWS}


def test_no_cause_stands_in_the_table_twice() -> None:
    keys = [row.key for row in causes._REFUSALS + causes._ORDINARY + causes._TRANSFERS + causes._FAILURES]
    assert len(keys) == len(set(keys))


def test_every_cause_that_the_server_names_is_in_the_table_and_every_row_is_named() -> None:
    source = Path(__file__).resolve().parents[2] / "src" / "cordboard"
    texts = [path.read_text() for path in source.rglob("*.py") if path.name != "causes.py"]
    named = {cause for text in texts for cause in re.findall(r"\bending\(\s*\"(\w+)\"", text)}
    assert named <= set(CAUSES)
    others = [cause for cause, row in CAUSES.items() if not row.statuses]
    assert [cause for cause in others if not any(f'"{cause}"' in text for text in texts)] == []


def test_no_final_status_is_without_a_cause_or_a_sane_code() -> None:
    for status in range(300, 700):
        assert cause_of_status(status).key in CAUSES
        assert 400 <= caller_code(ending_of_status(status)) < 700


@pytest.mark.parametrize("status", [401, 407])
def test_a_challenge_is_never_passed_on_to_the_caller(status: int) -> None:
    assert caller_code(ending_of_status(status)) == 603


def test_a_cause_without_a_code_of_the_far_end_uses_its_own() -> None:
    assert caller_code(ending("user_busy")) == 486


def test_a_detail_becomes_a_clause_of_the_sentence() -> None:
    end = ending("transport_failed", who="sip:b@192.0.2.1", detail="connection refused")
    assert end.sentence.startswith("sip:b@192.0.2.1 could not be reached (connection refused): ")
    assert ending("transport_failed", who="X").sentence.startswith("X could not be reached: ")


def test_a_detail_becomes_the_closing_sentence_where_the_row_asks_for_one() -> None:
    assert ending("bad_plan", who="+1", detail="no `to`").sentence.endswith("for +1: no `to`.")
    assert ending("script_failed", who="+1").sentence.endswith("cannot be run: no more is known.")


def test_braces_in_what_a_peer_sent_are_only_text() -> None:
    end = ending_of_status(486, "{detail}{0}", who="sip:{who}@h")
    assert "({0}" not in end.sentence.replace("{detail}{0}", "")
    assert "sip:{who}@h is busy (486 {detail}{0})" in end.sentence


def test_a_bye_says_in_q850_why() -> None:
    causes = {
        reason: q850_cause(ending(key))
        for key, reason in (
            ("hangup_script", EndReason.HANGUP),
            ("script_busy", EndReason.BUSY),
            ("script_declined", EndReason.DECLINED),
            ("media_worker_died", EndReason.ERROR),
        )
    }
    assert causes == {
        EndReason.HANGUP: 16,
        EndReason.BUSY: 17,
        EndReason.DECLINED: 21,
        EndReason.ERROR: 41,
    }

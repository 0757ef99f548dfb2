"""The fixtures that users put into their own tests."""

from __future__ import annotations

from cordboard.testing.fixtures import MakePhone, make_phone, phone_bank
from cordboard.testing.phone import PhoneBank

__all__ = ["make_phone", "phone_bank"]


async def test_phones_of_a_test_call_each_other(make_phone: MakePhone) -> None:
    bob = await make_phone(name="bob", answer_after=0.0, tone_hz=659.0)
    alice = await make_phone(name="alice")
    call = await alice.call(bob.uri())
    assert await call.hears(659.0)


async def test_the_documented_phones_are_at_hand(
    make_phone: MakePhone,
    phone_bank: PhoneBank,
) -> None:
    alice = await make_phone(name="alice")
    call = await alice.call(phone_bank.uri("busy"))
    report = await call.ended()
    assert report.status == 486

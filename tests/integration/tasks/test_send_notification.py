import asyncio
import email
import json

import pytest

from app.stores.errors import StaleTokenError
from app.stores.notifications import Channel, DeliveryState
from app.tasks.errors import TaskInputError, UndeliveredError
from app.tasks.webhook import sign
from queues import Retry
from tests.integration.tasks.conftest import make_run
from tests.integration.tasks.smtp_sink import SmtpSink

SECRET = "a secret"
ARGUMENTS = ("ann@example.com", "It is done", "All pages\nwere read.")


@pytest.fixture
def smtp():
    with SmtpSink() as sink:
        yield sink


@pytest.fixture
def world(make_world, web, smtp):
    web.answer("/hook", "{}", 204)
    return make_world(
        smtp_url=smtp.url,
        smtp_from="onceq@example.org",
        webhook_url=f"{web.url}/hook",
        webhook_secret=SECRET,
        fetch_allow=web.allowed,
    )


async def stored(world, tenant="default"):
    return (await world.stores.notifications.list(tenant)).items


def test_without_channels_it_is_stored_only(make_world):
    world = make_world()

    async def scenario(world):
        result = await world.call("send_notification", "user_1", "Hi", "Words", "warning", tenant="t1", chatbot_id="b")
        return result, await stored(world, "t1")

    result, (note,) = world.play(scenario)

    assert result == {"status": "success", "notification_id": note.id, "channels": {}}
    assert (note.user_id, note.kind, note.chatbot_id, note.deliveries) == ("user_1", "warning", "b", {})


def test_it_goes_out_on_every_channel(world, web, smtp):
    async def scenario(world):
        return await world.call("send_notification", *ARGUMENTS), await stored(world)

    result, (note,) = world.play(scenario)

    assert result["channels"] == {"smtp": "sent", "webhook": "sent"}
    assert {delivery.state for delivery in note.deliveries.values()} == {DeliveryState.SENT}
    mail = email.message_from_string(smtp.mails[0])
    assert (mail["To"], mail["Subject"]) == ("ann@example.com", "It is done")
    ((_, _, headers, body),) = web.asked
    assert json.loads(body)["message"] == "All pages\nwere read."
    assert headers["Idempotency-Key"] == f'"{note.id}"'
    assert headers["Onceq-Signature"] == sign(SECRET.encode(), int(headers["Onceq-Timestamp"]), body)


def test_the_same_work_again_sends_nothing_again(world, web, smtp):
    async def scenario(world):
        first = await world.attempt(make_run(1), "send_notification", *ARGUMENTS)
        again = await world.attempt(make_run(2, attempt=2), "send_notification", *ARGUMENTS)
        return first, again, await stored(world)

    first, again, notes = world.play(scenario)

    assert again == first
    assert (len(notes), len(smtp.mails), len(web.asked)) == (1, 1, 1)


def test_only_the_channel_that_failed_is_tried_again(world, web, smtp):
    web.answer("/hook", "busy", 500)

    async def scenario(world):
        with pytest.raises(UndeliveredError) as caught:
            await world.attempt(make_run(1), "send_notification", *ARGUMENTS)
        web.answer("/hook", "", 200)
        return caught.value, await world.attempt(make_run(2, attempt=2), "send_notification", *ARGUMENTS)

    error, result = world.play(scenario)

    assert error.reasons == {"webhook": "the webhook answered 500"}
    assert result["channels"] == {"smtp": "sent", "webhook": "sent"}
    assert (len(smtp.mails), len(web.asked)) == (1, 2)
    keys = {headers["Idempotency-Key"] for _, _, headers, _ in web.asked}
    bodies = {body for *_, body in web.asked}
    assert (len(keys), len(bodies)) == (1, 1)


def test_a_receiver_that_says_when_is_asked_then(world, web):
    web.answer("/hook", "", 429, Retry_After="90")

    async def scenario(world):
        with pytest.raises(Retry) as caught:
            await world.attempt(make_run(1), "send_notification", *ARGUMENTS)
        with pytest.raises(UndeliveredError):
            await world.attempt(make_run(2, attempt=4), "send_notification", *ARGUMENTS)
        return caught.value

    assert world.play(scenario).delay == 90


@pytest.mark.parametrize("status", [400, 404, 410, 302])
def test_a_webhook_that_refuses_is_not_asked_again(world, web, status):
    web.answer("/hook", "", status, Location="http://127.0.0.1:1/")

    async def scenario(world):
        return await world.call("send_notification", *ARGUMENTS), await stored(world)

    result, (note,) = world.play(scenario)

    assert (result["status"], result["channels"]["webhook"]) == ("partial", "failed")
    assert note.deliveries[Channel.WEBHOOK].detail == f"the webhook answered {status}"
    assert len(web.asked) == 1


@pytest.mark.parametrize(
    ("codes", "is_retried"),
    [
        ({"recipient_code": 550}, False),
        ({"recipient_code": 451}, True),
        ({"data_code": 554}, False),
        ({"data_code": 452}, True),
    ],
)
def test_a_mail_server_refuses_for_good_or_for_now(make_world, codes, is_retried):
    async def scenario(world):
        try:
            return await world.call("send_notification", *ARGUMENTS)
        except UndeliveredError as error:
            return error

    with SmtpSink(**codes) as sink:
        outcome = make_world(smtp_url=sink.url).play(scenario)

    assert isinstance(outcome, UndeliveredError) is is_retried
    assert is_retried or outcome["channels"] == {"smtp": "failed"}


def test_a_password_is_not_sent_in_the_clear(make_world):
    async def scenario(world):
        return await world.call("send_notification", *ARGUMENTS)

    # Loopback for the kernel, but not one of the names that are taken for this machine.
    with SmtpSink(host="127.0.0.2") as sink:
        result = make_world(smtp_url=sink.url.replace("//", "//ann:secret@")).play(scenario)

    assert result["channels"] == {"smtp": "failed"}
    assert sink.commands == ["EHLO", "QUIT"]


def test_a_server_that_parts_rudely_has_still_taken_the_mail(make_world):
    async def scenario(world):
        return await world.call("send_notification", *ARGUMENTS)

    with SmtpSink(quit_code=421) as sink:
        result = make_world(smtp_url=sink.url).play(scenario)

    assert result["channels"] == {"smtp": "sent"}


def test_a_mail_server_that_is_gone_is_tried_again(make_world, closed_port):
    world = make_world(smtp_url=f"smtp://127.0.0.1:{closed_port}")

    async def scenario(world):
        with pytest.raises(UndeliveredError):
            await world.call("send_notification", *ARGUMENTS)
        return await stored(world)

    (note,) = world.play(scenario)

    assert note.deliveries[Channel.SMTP].state is DeliveryState.FAILED


def test_a_user_without_an_address_gets_no_mail(world, smtp):
    async def scenario(world):
        return await world.call("send_notification", "user_1", "Hi", "Words")

    assert world.play(scenario)["channels"] == {"webhook": "sent"}
    assert smtp.mails == []


def test_a_run_that_died_while_sending_is_repeated_under_the_same_identity(world, web):
    async def scenario(world):
        run = make_run(1)
        web.before_answer = lambda: task.get_loop().call_soon_threadsafe(task.cancel)
        task = asyncio.create_task(world.attempt(run, "send_notification", "user_1", "Hi", "Words"))
        await asyncio.wait([task])
        web.before_answer = lambda: None
        (between,) = await stored(world)
        result = await world.attempt(make_run(2), "send_notification", "user_1", "Hi", "Words")
        return between, result

    between, result = world.play(scenario)

    assert between.deliveries[Channel.WEBHOOK].state is DeliveryState.SENDING
    assert result["channels"] == {"webhook": "sent"}
    assert len({headers["Idempotency-Key"] for _, _, headers, _ in web.asked}) == 1


def test_a_run_that_was_overtaken_sends_nothing(world, web, smtp):
    async def scenario(world):
        await world.attempt(make_run(5), "send_notification", *ARGUMENTS)
        with pytest.raises(StaleTokenError):
            await world.attempt(make_run(4), "send_notification", *ARGUMENTS)

    world.play(scenario)

    assert (len(smtp.mails), len(web.asked)) == (1, 1)


def test_a_webhook_at_a_private_address_is_refused(make_world, web):
    world = make_world(webhook_url=f"{web.url}/hook", webhook_secret=SECRET)

    async def scenario(world):
        return await world.call("send_notification", *ARGUMENTS)

    assert world.play(scenario)["channels"] == {"webhook": "failed"}
    assert web.asked == []


@pytest.mark.parametrize(
    "change",
    [
        {"user_id": ""},
        {"user_id": "a@b\r\nBcc: eve@example.com"},
        {"title": "a\r\nBcc: eve@example.com"},
        {"title": "x" * 201},
        {"title": ""},
        {"message": ""},
        {"message": "x" * 20_001},
        {"message": 5},
        {"kind": "shout"},
        {"kind": None},
        {"tenant": ""},
        {"chatbot_id": "\n"},
    ],
)
def test_arguments_that_cannot_be_used_store_and_send_nothing(world, web, smtp, change):
    async def scenario(world):
        arguments = {"user_id": "ann@example.com", "title": "Hi", "message": "Words", **change}
        with pytest.raises(TaskInputError):
            await world.call("send_notification", **arguments)
        return await stored(world)

    assert world.play(scenario) == ()
    assert (smtp.mails, web.asked) == ([], [])

import asyncio
from dataclasses import replace

import pytest

from app.stores.clock import utc_now
from app.stores.errors import StaleTokenError
from app.stores.notifications import Channel, DeliveryState, Notification, NotificationKind


def note(notification_id="ntf_1", tenant="t1", user_id="ann"):
    return Notification(
        id=notification_id,
        tenant=tenant,
        user_id=user_id,
        title="Done",
        message="All is done.",
        kind=NotificationKind.SUCCESS,
        created_at=utc_now(),
        token=1,
    )


def test_a_notification_is_stored_once_and_keeps_its_first_time(run):
    async def scenario(stores):
        first = await stores.notifications.begin(note(), 1)
        second = await stores.notifications.begin(replace(note(), token=2), 2)
        return first, second, await stores.notifications.list("t1")

    first, second, page = run(scenario)

    assert second.created_at == first.created_at
    assert [each.id for each in page.items] == ["ntf_1"]
    assert second.token == 2


def test_an_older_run_does_not_begin(run):
    async def scenario(stores):
        await stores.notifications.begin(replace(note(), token=5), 5)
        with pytest.raises(StaleTokenError):
            await stores.notifications.begin(replace(note(), token=4), 4)
        return await stores.notifications.get("t1", "ntf_1")

    assert run(scenario).token == 5


def test_what_was_sent_is_not_claimed_again(run):
    async def scenario(stores):
        notifications = stores.notifications
        await notifications.begin(note(), 1)
        claims = [await notifications.claim("ntf_1", Channel.SMTP, 1)]
        await notifications.sent("ntf_1", Channel.SMTP, 1)
        claims.append(await notifications.claim("ntf_1", Channel.SMTP, 2))
        claims.append(await notifications.claim("ntf_1", Channel.WEBHOOK, 2))
        return claims, await notifications.get("t1", "ntf_1")

    claims, stored = run(scenario)

    assert claims == [True, False, True]
    assert stored.deliveries[Channel.SMTP].state is DeliveryState.SENT
    assert stored.deliveries[Channel.WEBHOOK].state is DeliveryState.SENDING


def test_an_older_run_does_not_claim_what_a_newer_one_is_sending(run):
    async def scenario(stores):
        notifications = stores.notifications
        await notifications.begin(note(), 1)
        await notifications.begin(note(), 2)
        await notifications.claim("ntf_1", Channel.SMTP, 2)
        with pytest.raises(StaleTokenError):
            await notifications.claim("ntf_1", Channel.SMTP, 1)
        return (await notifications.get("t1", "ntf_1")).deliveries[Channel.SMTP]

    delivery = run(scenario)

    assert (delivery.token, delivery.attempts) == (2, 1)


def test_that_it_was_sent_is_learnt_from_an_older_run_too(run):
    async def scenario(stores):
        notifications = stores.notifications
        await notifications.begin(note(), 1)
        await notifications.claim("ntf_1", Channel.SMTP, 1)
        await notifications.begin(note(), 2)
        await notifications.sent("ntf_1", Channel.SMTP, 1)
        return await notifications.claim("ntf_1", Channel.SMTP, 2)

    assert not run(scenario)


def test_a_failure_by_an_older_run_changes_nothing(run):
    async def scenario(stores):
        notifications = stores.notifications
        await notifications.begin(note(), 1)
        await notifications.claim("ntf_1", Channel.SMTP, 1)
        await notifications.claim("ntf_1", Channel.SMTP, 2)
        await notifications.failed("ntf_1", Channel.SMTP, 1, "too late")
        return (await notifications.get("t1", "ntf_1")).deliveries[Channel.SMTP]

    delivery = run(scenario)

    assert (delivery.state, delivery.token, delivery.detail) == (DeliveryState.SENDING, 2, "")


def test_sent_is_never_turned_back(run):
    async def scenario(stores):
        notifications = stores.notifications
        await notifications.begin(note(), 1)
        await notifications.claim("ntf_1", Channel.SMTP, 1)
        await notifications.sent("ntf_1", Channel.SMTP, 1)
        await notifications.failed("ntf_1", Channel.SMTP, 9, "no")
        return (await notifications.get("t1", "ntf_1")).deliveries[Channel.SMTP].state

    assert run(scenario) is DeliveryState.SENT


def test_of_claims_at_once_by_one_token_all_count(run):
    async def scenario(stores):
        notifications = stores.notifications
        await notifications.begin(note(), 1)
        await asyncio.gather(*[notifications.claim("ntf_1", Channel.SMTP, 1) for _ in range(4)])
        return (await notifications.get("t1", "ntf_1")).deliveries[Channel.SMTP].attempts

    assert run(scenario) == 4


def test_a_list_is_by_user_and_tenant(run):
    async def scenario(stores):
        for number, (tenant, user) in enumerate([("t1", "ann"), ("t1", "bob"), ("t2", "ann")]):
            await stores.notifications.begin(note(f"ntf_{number}", tenant, user), 1)
        page = await stores.notifications.list("t1", user_id="ann")
        return page, await stores.notifications.get("t1", "ntf_2")

    page, other = run(scenario)

    assert [each.id for each in page.items] == ["ntf_0"]
    assert other is None

import asyncio


def submit(stores, tenant="t1", task_id="id-1", decision="executed", **extra):
    return stores.task_history.add(
        tenant, task_id, name="app.tasks.process_document", key="ab" * 20, decision=decision, **extra
    )


def test_submissions_of_one_task_are_one_record_that_counts(run):
    async def scenario(stores):
        await submit(stores, chatbot_id="bot", source_id="doc_1", arguments={"path": "a.pdf"})
        first = await stores.task_history.get("t1", "id-1")
        await submit(stores, decision="joined")
        return first, await stores.task_history.get("t1", "id-1")

    first, again = run(scenario)

    assert (first.submissions, again.submissions) == (1, 2)
    assert (first.decision, again.decision) == ("executed", "joined")
    assert again.created_at == first.created_at
    assert again.arguments == {"path": "a.pdf"}


def test_submissions_at_once_all_count(run):
    async def scenario(stores):
        await asyncio.gather(*[submit(stores) for _ in range(8)])
        return await stores.task_history.get("t1", "id-1")

    assert run(scenario).submissions == 8


def test_each_tenant_sees_its_own_submissions(run):
    async def scenario(stores):
        await submit(stores, tenant="t1")
        await submit(stores, tenant="t2", task_id="id-2")
        both = [await stores.task_history.get(tenant, "id-1") for tenant in ("t1", "t2")]
        return both, await stores.task_history.list("t2")

    (own, other), page = run(scenario)

    assert own is not None
    assert other is None
    assert [record.task_id for record in page.items] == ["id-2"]


def test_a_list_is_by_source(run):
    async def scenario(stores):
        await submit(stores, task_id="id-1", source_id="doc_1", chatbot_id="bot")
        await submit(stores, task_id="id-2", source_id="doc_2", chatbot_id="bot")
        history = stores.task_history
        return await history.list("t1", source_id="doc_2"), await history.list("t1", chatbot_id="bot")

    by_source, by_chatbot = run(scenario)

    assert [record.task_id for record in by_source.items] == ["id-2"]
    assert len(by_chatbot.items) == 2

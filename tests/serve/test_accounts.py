"""One account over HTTP: where it stands, its contacts, what was decided of it."""

from __future__ import annotations

from msgspec.structs import replace

from tests.serve.worker import Worker, run

CHAMPION, USER = {"role": "champion"}, {"role": "user"}


async def ask(session, path):
    async with session.get(path) as answer:
        return answer.status, await answer.json(content_type=None)


def test_an_account_shows_its_stage_its_scores_and_the_contacts_that_count(tmp_path):
    """Of contacts on several partitions; what was decided of it comes with the contact whose interaction did it."""

    async def scene():
        worker = Worker(tmp_path, "topologies/saas")
        await worker.hear(
            *((f"u-{n}", "Identified", n / 10, {}, CHAMPION if n < 6 else USER, "acme/1 ü") for n in range(8)),
            ("u-3", "Asset Downloaded", 2, {"asset": "guide"}),
            ("u-7", "Trial Started", 2),
        )
        async with worker.served() as session:
            status, shown = await ask(session, "/v1/accounts/acme%2F1%20%C3%BC")
            assert status == 200
            assert (shown["account"], shown["stage"], shown["high_water"]) == (
                "acme/1 ü",
                "consideration",
                "consideration",
            )
            assert [each["customer"] for each in shown["contacts"]] == ["u-3", "u-5", "u-4", "u-2", "u-1", "u-0"]
            assert shown["contacts"][0] | {"at": ""} == {"customer": "u-3", "role": "champion", "stage": "consideration", "scores": {}, "at": ""}  # fmt: skip
            status, told = await ask(session, "/v1/accounts/acme%2F1%20%C3%BC/decisions")
            assert status == 200
            stood = told["decisions"][0]
            assert (stood["subject"], stood["data"]["customer"], stood["data"]["to"]) == (
                "acme/1 ü",
                "u-3",
                "consideration",
            )
            withdrawn = [
                each["data"]["retracts"] for each in told["decisions"] if each["type"].endswith("retracted.v1")
            ]
            assert set(withdrawn) <= set(told["retracted"])
        worker.close()

    run(scene())


def test_what_is_not_known_is_said_and_a_topology_without_accounts_says_so(tmp_path):
    async def scene(folder, edit, detail):
        worker = Worker(tmp_path / folder, "topologies/saas", edit)
        await worker.hear(("u-1", "Identified", 0, {}, USER, "acme"))
        async with worker.served() as session:
            for path in ("/v1/accounts/acme", "/v1/accounts/acme/decisions"):
                status, said = await ask(session, path)
                assert (status, said["detail"]) == (404, detail)
        worker.close()

    run(scene("with", lambda made: made, "no contact of this account has counted"))
    run(scene("without", lambda made: replace(made, accounts=None), "the topology has no `accounts`"))


def test_an_account_that_another_worker_has_is_asked_of_that_one(tmp_path):
    """By the partitions of the accounts, not of the customers."""

    async def scene():
        first = Worker(tmp_path / "first", "topologies/saas", owned=())
        second = Worker(tmp_path / "second", "topologies/saas")
        await second.hear(("u-1", "Identified", 0, {}, CHAMPION, "acme"))
        async with second.served(), first.served() as session:
            changelog = first.hearing[0].stage.changelog
            first.window.shares = lambda: {second.url: {changelog: range(4)}, first.url: {changelog: ()}}
            assert (await ask(session, "/v1/accounts/acme"))[1]["stage"] == "awareness"
        worker = first
        for worker in (first, second):
            worker.close()

    run(scene())

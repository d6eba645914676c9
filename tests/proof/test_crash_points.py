"""Every operation is broken at each of its port calls, in each way; then healthy actors go on, and nothing is lost."""

from __future__ import annotations

import pytest

from jobq.core.ports import Stack
from jobq.core.push import Push
from jobq.errors import JobqError
from jobq.model.job import JobState, PushStatus
from tests.proof.actors import go_on
from tests.proof.faults import Fault, FaultyStack, Killed
from tests.proof.operations import SCENARIOS
from tests.proof.scenarios import Pushing, PushingChunks, Scenario
from tests.proof.world import assert_counts_equal_rows, outbox_rows

MOST_CALLS = 200


@pytest.mark.parametrize("fault", Fault, ids=lambda fault: fault.name.lower())
@pytest.mark.parametrize("kind", SCENARIOS, ids=lambda kind: kind.__name__)
async def test_nothing_is_lost_whatever_call_breaks(kind: type[Scenario], fault: Fault) -> None:
    broken = 0
    for at in range(1, MOST_CALLS):
        if not await breaks_at(kind(), fault, at):
            break
        broken += 1

    assert 0 < broken < MOST_CALLS - 1


@pytest.mark.parametrize("fault", Fault, ids=lambda fault: fault.name.lower())
@pytest.mark.parametrize("kind", [Pushing, PushingChunks], ids=lambda kind: kind.__name__)
async def test_repeated_push_completes_a_broken_one_without_a_sweeper(kind: type[Pushing], fault: Fault) -> None:
    for at in range(1, MOST_CALLS):
        scenario = kind()
        stack = FaultyStack(scenario.ledger, fault, at)
        await act(scenario, stack)
        await stack.be_late()

        answers = await Push(scenario.world.process(), "b", chunk=kind.chunk).run(kind.jobs)

        assert {answer.status for answer in answers} <= {PushStatus.QUEUED, PushStatus.EXISTS}
        healthy = await go_on(scenario.world, sweeps=False)
        assert healthy.started == {job.id: 1 for job in kind.jobs}
        jobs = await assert_counts_equal_rows(scenario.world.realm)
        await scenario.ledger.check_ever(scenario.world.realm)
        assert {job.state for job in jobs.values()} == {JobState.SUCCEEDED}
        if not stack.has_failed:
            return


async def breaks_at(scenario: Scenario, fault: Fault, at: int) -> bool:
    """Run the scenario with a fault at one call; False when it has fewer calls than that."""
    await scenario.setup()
    stack = FaultyStack(scenario.ledger, fault, at)
    try:
        await act(scenario, stack)
        await scenario.follow()
        await stack.be_late()
        healthy = await go_on(scenario.world, lanes=scenario.lanes)

        jobs = await assert_counts_equal_rows(scenario.world.realm)
        await scenario.ledger.check_ever(scenario.world.realm)
        assert all(job.state.is_final for job in jobs.values())
        assert await outbox_rows(scenario.world.realm) == 0
        scenario.verify(jobs, healthy)
    except AssertionError as error:
        error.add_note(f"call {at} of {stack.calls}: {fault.value}")
        raise
    finally:
        await scenario.ledger.close()
    return stack.has_failed


async def act(scenario: Scenario, stack: Stack) -> None:
    try:
        await scenario.act(scenario.world.process(stack))
    except (JobqError, Killed):
        return
    scenario.is_acknowledged = True

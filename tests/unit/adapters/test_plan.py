"""The plan of subscriptions against a reference that recomputes everything from the wants."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from adapters.plan import Batch, Plan
from gateway.model import Instrument, Mode, Want

SBIN, TCS, INFY = Instrument("NSE", "SBIN"), Instrument("NSE", "TCS"), Instrument("NSE", "INFY")
PER_CONNECTION, CONNECTIONS = 3, 2

holders = st.sampled_from(["readers", "stream", "edge"])
wants = st.builds(Want, st.builds(Instrument, st.just("NSE"), st.sampled_from("ABCDEFGH")), st.sampled_from(Mode))


def drain(plan: Plan, slot: int = 0) -> Batch:
    batch = plan.take(slot, 1000)
    assert not plan.pending(slot)
    return batch


def test_the_highest_wanted_mode_is_subscribed_and_comes_down_again() -> None:
    plan = Plan(10, 1)
    plan.acquire("a", Want(SBIN, Mode.LTP))
    assert drain(plan) == Batch([], [Want(SBIN, Mode.LTP)])
    plan.acquire("b", Want(SBIN, Mode.DEPTH))
    assert drain(plan) == Batch([], [Want(SBIN, Mode.DEPTH)])
    plan.acquire("c", Want(SBIN, Mode.QUOTE))
    assert not drain(plan)
    plan.release("b", [Want(SBIN, Mode.DEPTH)])
    assert drain(plan) == Batch([], [Want(SBIN, Mode.QUOTE)])
    plan.release_all("c")
    plan.release_all("a")
    assert drain(plan) == Batch([SBIN], [])


def test_a_want_that_came_and_went_is_never_sent() -> None:
    plan = Plan(10, 1)
    plan.acquire("a", Want(SBIN, Mode.LTP))
    plan.release("a", [Want(SBIN, Mode.LTP)])
    assert not drain(plan)
    assert plan.changed() == []


def test_full_connections_refuse_and_say_so_until_something_leaves() -> None:
    plan = Plan(1, 2)
    assert plan.acquire("a", Want(SBIN, Mode.LTP))
    assert plan.acquire("a", Want(TCS, Mode.LTP))
    assert not plan.acquire("a", Want(INFY, Mode.LTP))
    assert plan.acquire("b", Want(TCS, Mode.DEPTH)), "another mode of a placed instrument takes no room"
    plan.release_all("a")
    assert plan.acquire("b", Want(INFY, Mode.LTP))
    assert (len(plan), plan.capacity) == (2, 2)


def test_the_old_instrument_leaves_before_the_new_one_enters_a_full_connection() -> None:
    plan = Plan(1, 1)
    plan.acquire("a", Want(SBIN, Mode.LTP))
    drain(plan)
    plan.release_all("a")
    plan.acquire("a", Want(TCS, Mode.LTP))
    assert drain(plan) == Batch([SBIN], [Want(TCS, Mode.LTP)])


def test_a_lost_connection_gets_all_of_its_instruments_again() -> None:
    plan = Plan(10, 1)
    for want in (Want(SBIN, Mode.LTP), Want(TCS, Mode.DEPTH)):
        plan.acquire("a", want)
    drain(plan)
    plan.release("a", [Want(SBIN, Mode.LTP)])
    plan.forget(0)
    assert plan.subscribed() == 0
    assert drain(plan) == Batch([], [Want(TCS, Mode.DEPTH)])


def test_batches_keep_to_the_limit_and_lose_nothing() -> None:
    plan = Plan(100, 1)
    instruments = [Instrument("NSE", f"S{n}") for n in range(25)]
    for instrument in instruments:
        plan.acquire("a", Want(instrument, Mode.QUOTE))
    batches = []
    while plan.pending(0):
        batches.append(plan.take(0, 10).subscribe)
    assert [len(batch) for batch in batches] == [10, 10, 5]
    assert [want.instrument for batch in batches for want in batch] == instruments


class PlanMachine(RuleBasedStateMachine):
    """Random wants, releases, sends and losses; the reference keeps nothing but the wants."""

    def __init__(self) -> None:
        super().__init__()
        self.plan = Plan(PER_CONNECTION, CONNECTIONS)
        self.wants: dict[str, set[Want]] = {"readers": set(), "stream": set(), "edge": set()}
        self.broker: list[dict[Instrument, Mode]] = [{} for _ in range(CONNECTIONS)]

    def desired(self) -> dict[Instrument, Mode]:
        every = [want for held in self.wants.values() for want in held]
        return {want.instrument: max(w.mode for w in every if w.instrument == want.instrument) for want in every}

    @rule(holder=holders, want=wants)
    def acquire(self, holder: str, want: Want) -> None:
        desired = self.desired()
        fits = want.instrument in desired or len(desired) < PER_CONNECTION * CONNECTIONS
        assert self.plan.acquire(holder, want) == fits
        if fits:
            self.wants[holder].add(want)

    @rule(holder=holders, released=st.lists(wants, max_size=4))
    def release(self, holder: str, released: list[Want]) -> None:
        self.plan.release(holder, released)
        self.wants[holder] -= set(released)

    @rule(holder=holders)
    def release_all(self, holder: str) -> None:
        self.plan.release_all(holder)
        self.wants[holder].clear()

    @rule(slot=st.integers(0, CONNECTIONS - 1), limit=st.integers(1, 4))
    def send(self, slot: int, limit: int) -> None:
        batch = self.plan.take(slot, limit)
        assert len(batch.subscribe) <= limit
        assert len(batch.unsubscribe) <= limit
        broker = self.broker[slot]
        for instrument in batch.unsubscribe:
            del broker[instrument]
        for want in batch.subscribe:
            assert broker.get(want.instrument) != want.mode, "said again what the broker knows"
            broker[want.instrument] = want.mode
        assert len(broker) <= PER_CONNECTION

    @rule(slot=st.integers(0, CONNECTIONS - 1))
    def lose(self, slot: int) -> None:
        self.plan.forget(slot)
        self.broker[slot].clear()

    @rule()
    def settle(self) -> None:
        for slot in self.plan.changed():
            rounds = 0
            while self.plan.pending(slot):
                self.send(slot, 2)
                rounds += 1
                assert rounds <= 2 * PER_CONNECTION + 2, "batches make no progress"
        merged: dict[Instrument, Mode] = {}
        for broker in self.broker:
            assert not merged.keys() & broker.keys(), "one instrument on two connections"
            merged |= broker
        assert merged == self.desired()

    @invariant()
    def agrees_with_the_wants(self) -> None:
        desired = self.desired()
        assert len(self.plan) == len(desired)
        assert {instrument: self.plan.mode(instrument) for instrument in desired} == desired
        assert self.plan.subscribed() == sum(map(len, self.broker))
        assert all(self.plan.assigned(slot) <= PER_CONNECTION for slot in range(CONNECTIONS))


TestPlanMachine = PlanMachine.TestCase

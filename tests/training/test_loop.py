"""The training loop: phases, who sees which pairs with what trust, evidence, co-teaching, curves."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import torch

from harness.errors import HarnessError
from harness.plugin.interfaces import PairTrust, Phase, TrainingPairs
from harness.runtime.context import Progress, RunContext
from harness.training.loop import train
from harness.training.team import Team, collect_evidence

N, TRUSTED = 11, (1, 4, 7)
WARM_UP, MAIN = Phase("warm-up", 2, pairs="trusted", trust="ones"), Phase("main", 3)


def make_pairs() -> TrainingPairs:
    """Image i is (i, 1); its caption 100 + i; its caption as the curator saw it 200 + i."""
    number = torch.arange(N, dtype=torch.float32)
    trusted = torch.zeros(N, dtype=torch.bool)
    trusted[list(TRUSTED)] = True
    return TrainingPairs(
        image=torch.stack([number, torch.ones(N)], dim=1),
        text=torch.stack([100 + number, -torch.ones(N)], dim=1),
        trusted=trusted,
        trusted_text=torch.stack([200 + number, -torch.ones(N)], dim=1),
    )


class Plain:
    """Only what a learner must have."""

    batch_size = 4

    def begin(self, pairs, phases, run):
        self.seen: list[tuple[list[int], list[float], PairTrust]] = []

    def step(self, batch, trust):
        self.seen.append((batch.rows.tolist(), batch.text[:, 0].tolist(), trust))
        return torch.tensor(float(len(self.seen)))

    def encode_image(self, image):
        return image

    def encode_text(self, text):
        return text


class Chatty(Plain):
    """Writes down what happens to it. The loss of pair i is its image's number times ``scale``."""

    def __init__(self, scale: float = 1.0, batch_size: int = 4) -> None:
        self.scale, self.batch_size = scale, batch_size
        self.events: list[tuple[Any, ...]] = []

    def begin(self, pairs, phases, run):
        super().begin(pairs, phases, run)
        self.events.append(("begin", len(pairs), tuple(phase.name for phase in phases)))
        self.weight = torch.ones((), requires_grad=True)

    def begin_phase(self, phase, pairs, rows):
        self.events.append(("phase", phase.name, rows.tolist(), pairs.text[0, 0].item()))

    def end_epoch(self, epoch):
        self.events.append(("epoch", epoch))

    def pair_losses(self, batch):
        self.events.append(("losses", batch.rows.tolist()))
        return batch.image[:, 0] * self.scale * self.weight


class Watcher:
    """A detector that keeps its evidence and says what it is told to say."""

    def __init__(self, *answers) -> None:
        self.answers, self.evidence = list(answers), []

    def observe(self, evidence, run):
        self.evidence.append(evidence)
        return self.answers.pop(0) if self.answers else None


def team(learner=None, detector=None, weight: float = 1.0, seed: int = 0, listener=None) -> Team:
    listening = {} if listener is None else {"listener": listener}
    run = RunContext(2, torch.device("cpu"), seed, **listening)
    return Team(learner or Plain(), detector, PairTrust(torch.full((N,), weight)), run, "mine")


def run_one(phases=(WARM_UP, MAIN), learner=None, detector=None, *, watch=False, **facts):
    mine = team(learner, detector, **facts)
    return mine, train([mine], make_pairs(), phases, watch=watch)


def epochs_of(learner: Plain, per_epoch: int) -> list[list[tuple[list[int], list[float], PairTrust]]]:
    return [learner.seen[at : at + per_epoch] for at in range(0, len(learner.seen), per_epoch)]


def test_phases_run_in_order_for_as_many_epochs_as_they_have():
    told: list[Progress] = []
    _, curves = run_one(listener=told.append)
    assert curves.phase == ["warm-up"] * 2 + ["main"] * 3
    places = [(news.phase, news.epoch, news.epochs) for news in told]
    assert places == [("warm-up", 1, 2), ("warm-up", 2, 2), ("main", 1, 3), ("main", 2, 3), ("main", 3, 3)]
    assert [news.loss for news in told] == curves.loss


def test_learner_is_told_of_begin_phases_and_epochs_counted_over_all_phases():
    mine, _ = run_one(learner=Chatty())
    everything = list(range(N))
    assert mine.learner.events == [
        ("begin", N, ("warm-up", "main")),
        ("phase", "warm-up", list(TRUSTED), 200.0),
        ("epoch", 0),
        ("epoch", 1),
        ("phase", "main", everything, 100.0),
        ("epoch", 2),
        ("epoch", 3),
        ("epoch", 4),
    ]


def test_trusted_phase_sees_trusted_pairs_alone_and_their_captions_as_the_curator_saw_them():
    mine, _ = run_one([WARM_UP])
    for rows, texts, trust in mine.learner.seen:
        assert sorted(rows) == list(TRUSTED)
        assert texts == [200 + row for row in rows]
        assert trust.weight.tolist() == [1.0] * 3
    assert len(mine.learner.seen) == 2


def test_phase_on_all_pairs_sees_each_once_per_epoch_with_the_caption_it_was_given():
    mine, _ = run_one([MAIN])
    for epoch in epochs_of(mine.learner, 3):
        assert Counter(row for rows, _, _ in epoch for row in rows) == Counter(range(N))
        assert all(texts == [100 + row for row in rows] for rows, texts, _ in epoch)
    orders = [[row for rows, _, _ in epoch for row in rows] for epoch in epochs_of(mine.learner, 3)]
    assert orders[0] != orders[1] != orders[2]


@pytest.mark.parametrize(("trust", "expected"), [("ones", 1.0), ("detector", 0.25)])
@pytest.mark.parametrize("pairs", ["all", "trusted"])
def test_phase_says_whose_trust_counts(trust, expected, pairs):
    mine, _ = run_one([Phase("one", 1, pairs=pairs, trust=trust)], weight=0.25)
    assert {weight for _, _, given in mine.learner.seen for weight in given.weight.tolist()} == {expected}


def test_trust_of_a_batch_belongs_to_its_rows_and_brings_its_target():
    mine = team()
    mine.trust = PairTrust(torch.arange(N) / N, torch.arange(N) / 100)
    train([mine], make_pairs(), [MAIN], watch=False)
    for rows, _, trust in mine.learner.seen:
        assert torch.equal(trust.weight, torch.tensor(rows) / N)
        assert torch.equal(trust.target, torch.tensor(rows) / 100)


def test_order_of_the_batches_comes_from_the_training_seed():
    def rows_at(seed):
        return [rows for rows, _, _ in run_one(seed=seed)[0].learner.seen]

    assert rows_at(0) == rows_at(0)
    assert rows_at(0) != rows_at(1)


@pytest.mark.parametrize(
    ("flags", "sizes"), [({"drop_last": True}, [5, 5]), ({"smallest_batch": 2}, [5, 6]), ({}, [5, 5, 1])]
)
def test_learner_decides_about_its_last_batch(flags, sizes):
    learner = Plain()
    learner.batch_size = 5
    for name, value in flags.items():
        setattr(learner, name, value)
    run_one([Phase("one", 1)], learner)
    assert [len(rows) for rows, _, _ in learner.seen] == sizes


def test_phase_without_epochs_trains_nothing():
    mine, curves = run_one([Phase("warm-up", 0, pairs="trusted"), Phase("main", 1)])
    assert curves.phase == ["main"]
    assert len(mine.learner.seen) == 3


def test_restart_begins_again_before_its_phase_and_only_there():
    mine, curves = run_one([Phase("a", 1, restart=True), Phase("b", 1), Phase("c", 1, restart=True)], Chatty())
    kinds = [event[1] if event[0] == "phase" else event[0] for event in mine.learner.events]
    assert kinds == ["begin", "a", "epoch", "b", "epoch", "begin", "c", "epoch"]
    assert curves.phase == ["a", "b", "c"]
    assert mine.learner.events[-1] == ("epoch", 2)


def test_curves_hold_the_mean_loss_of_the_batches_and_the_number_of_steps():
    _, curves = run_one()  # the k-th step has loss k: 1 batch in each of 2 epochs, then 3 in each of 3
    assert curves.loss == [1.0, 2.0, 4.0, 7.0, 10.0]
    assert curves.updates == 11
    assert curves.trust == []


def test_loss_that_requires_a_gradient_is_recorded_without_one():
    class Careless(Plain):
        def step(self, batch, trust):
            return torch.ones((), requires_grad=True, dtype=torch.float64) * 3

    _, curves = run_one([MAIN], Careless())
    assert curves.loss == [3.0] * 3


# -- evidence


def test_watching_detector_gets_evidence_after_each_epoch():
    detector = Watcher()
    run_one(learner=Chatty(2.0), detector=detector, watch=True)
    assert [(e.epoch, e.phase) for e in detector.evidence] == [
        (1, "warm-up"), (2, "warm-up"), (3, "main"), (4, "main"), (5, "main"),
    ]  # fmt: skip
    for evidence in detector.evidence:
        assert evidence.pair_loss.dtype == torch.float32
        assert not evidence.pair_loss.requires_grad
        assert evidence.pair_loss.tolist() == [2.0 * i for i in range(N)], "all pairs, in their order, in every phase"


def test_evidence_comes_after_the_learner_has_ended_its_epoch():
    mine, _ = run_one([Phase("one", 2)], Chatty(batch_size=N), Watcher(), watch=True)
    kinds = [event[0] for event in mine.learner.events]
    assert kinds == ["begin", "phase", "epoch", "losses", "epoch", "losses"]


def test_similarity_is_the_cosine_of_the_outputs_row_by_row():
    pairs, learner = make_pairs(), Chatty()
    learner.begin(pairs, [MAIN], None)
    evidence = collect_evidence(learner, pairs, MAIN, 6)
    assert (evidence.epoch, evidence.phase) == (7, "main")
    slow = torch.tensor([[float(torch.dot(x, y) / (x.norm() * y.norm())) for y in pairs.text] for x in pairs.image])
    assert torch.allclose(evidence.similarity(slice(0, N)), slow, atol=1e-6)
    assert torch.equal(evidence.similarity(slice(3, 5)), evidence.similarity(slice(0, N))[3:5])


def test_detector_that_does_not_watch_is_not_asked():
    detector = Watcher(PairTrust(torch.zeros(N)))
    mine, curves = run_one(learner=Chatty(), detector=detector, watch=False)
    assert detector.evidence == []
    assert curves.trust == []
    assert not any(event[0] == "losses" for event in mine.learner.events)


def test_detector_without_observe_costs_no_pass_over_the_pairs():
    mine, _ = run_one(learner=Chatty(), detector=object(), watch=True)
    assert not any(event[0] == "losses" for event in mine.learner.events)


def test_detector_that_needs_epochs_alone_works_with_a_learner_without_pair_losses():
    class BySimilarity:
        def observe(self, evidence, run):
            similarity = evidence.similarity(slice(0, N))
            return PairTrust((similarity.diagonal() > 0).float())

    mine, curves = run_one(learner=Plain(), detector=BySimilarity(), watch=True)
    assert len(curves.trust) == 5
    assert mine.trust.weight.tolist() == [0.0] + [1.0] * (N - 1)


def test_changed_trust_counts_from_the_next_epoch_until_it_changes_again():
    half, none = torch.full((N,), 0.5), torch.zeros(N)
    detector = Watcher(None, PairTrust(half), None, PairTrust(none))
    mine, curves = run_one([Phase("one", 5)], Chatty(), detector, watch=True)
    given = [{w for _, _, trust in epoch for w in trust.weight.tolist()} for epoch in epochs_of(mine.learner, 3)]
    assert given == [{1.0}, {1.0}, {0.5}, {0.5}, {0.0}]
    assert [epoch for epoch, _ in curves.trust] == [2, 4]
    assert torch.equal(curves.trust[0][1], half)
    assert torch.equal(curves.trust[1][1], none)


def test_detector_that_watches_losses_tells_large_ones_from_small_ones():
    class Ranks:
        def observe(self, evidence, run):
            return PairTrust((evidence.pair_loss <= evidence.pair_loss.median()).float())

    mine, _ = run_one([Phase("one", 2)], Chatty(), Ranks(), watch=True)
    second = epochs_of(mine.learner, 3)[1]
    assert {row for rows, _, t in second for row, w in zip(rows, t.weight, strict=True) if w} == set(range(6))


@pytest.mark.parametrize("said", [torch.full((N,), 1.5), torch.full((N,), float("nan")), torch.ones(N - 1), [1.0] * N])
def test_nonsense_from_observe_names_the_detector(said):
    with pytest.raises(HarnessError, match="detector 'mine'"):
        run_one(learner=Chatty(), detector=Watcher(PairTrust(said)), watch=True)


# -- weights drawn for each batch


class Drawer:
    """Draws weights anew for trusted rows, and leaves the others to the standing trust."""

    def __init__(self):
        self.asked = []

    def weigh_batch(self, batch, learner):
        self.asked.append((batch.rows.tolist(), learner))
        return None if len(self.asked) % 2 else batch.rows / 100


def test_weights_drawn_for_a_batch_go_before_the_standing_trust():
    mine, _ = run_one([Phase("one", 2)], detector=Drawer(), weight=0.75)
    assert [asked for asked, _ in mine.detector.asked] == [rows for rows, _, _ in mine.learner.seen]
    assert {id(learner) for _, learner in mine.detector.asked} == {id(mine.learner)}
    for number, (rows, _, trust) in enumerate(mine.learner.seen):
        expected = torch.tensor(rows) / 100 if number % 2 else torch.full((len(rows),), 0.75)
        assert torch.equal(trust.weight, expected)


def test_phase_that_trusts_every_pair_does_not_ask_for_weights():
    mine, _ = run_one([WARM_UP], detector=Drawer())
    assert mine.detector.asked == []


# -- co-teaching


class ByLoss:
    """Trust 1 where the loss of its own learner is 0."""

    def observe(self, evidence, run):
        return PairTrust((evidence.pair_loss == 0).float())


class Parity(Plain):
    """The loss of a pair is 0 if its number has this remainder by two."""

    def __init__(self, remainder):
        self.remainder = remainder

    def pair_losses(self, batch):
        return (batch.rows % 2 != self.remainder).float()


def pair_of_teams():
    first, second = team(Parity(0), ByLoss(), 0.25), team(Parity(1), ByLoss(), 0.75)
    return first, second, train([first, second], make_pairs(), [Phase("one", 3)], watch=True)


def test_trust_from_the_evidence_of_one_learner_trains_the_other():
    first, second, _ = pair_of_teams()
    for learner, before, remainder in ((first.learner, 0.75, 1), (second.learner, 0.25, 0)):
        start, *later = epochs_of(learner, 3)
        assert {w for _, _, trust in start for w in trust.weight.tolist()} == {before}
        for epoch in later:
            for rows, _, trust in epoch:
                assert trust.weight.tolist() == [float(row % 2 == remainder) for row in rows]


def test_co_taught_learners_see_the_same_batches():
    first, second, _ = pair_of_teams()
    assert [rows for rows, _, _ in first.learner.seen] == [rows for rows, _, _ in second.learner.seen]
    alone, _ = run_one([Phase("one", 3)])
    assert [rows for rows, _, _ in alone.learner.seen] == [rows for rows, _, _ in first.learner.seen]


def test_curves_of_co_teaching_are_those_of_the_first_and_count_the_steps_of_both():
    first, second, curves = pair_of_teams()
    assert curves.updates == 18
    assert curves.loss == [2.0, 5.0, 8.0]
    assert [epoch for epoch, _ in curves.trust] == [1, 2, 3]
    assert all(torch.equal(weight, first.trust.weight) for _, weight in curves.trust)
    assert torch.equal(second.trust.weight, 1 - first.trust.weight)


def test_weights_for_a_batch_are_drawn_by_the_other_detector_with_its_own_learner():
    first, second = team(detector=Drawer()), team(detector=Drawer())
    train([first, second], make_pairs(), [MAIN], watch=False)
    assert {id(learner) for _, learner in first.detector.asked} == {id(first.learner)}
    for teacher, pupil in ((first, second), (second, first)):
        assert [rows for rows, _ in teacher.detector.asked] == [rows for rows, _, _ in pupil.learner.seen]
        drawn = [trust.weight for _, _, trust in pupil.learner.seen][1::2]
        assert all(
            torch.equal(weight, torch.tensor(rows) / 100)
            for weight, (rows, _) in zip(drawn, teacher.detector.asked[1::2], strict=True)
        )


def test_both_learners_restart_together():
    teams = [team(Chatty()), team(Chatty())]
    train(teams, make_pairs(), [Phase("a", 1), Phase("b", 1, restart=True)], watch=False)
    for mine in teams:
        assert [event[0] for event in mine.learner.events].count("begin") == 2


# -- random numbers of learners that restart or are two


class Drawing(Plain):
    """Draws from named streams and from the global generator."""

    def __init__(self):
        self.named, self.globally = [], []

    def begin(self, pairs, phases, run):
        super().begin(pairs, phases, run)
        self.named.append(torch.rand(3, generator=run.generator("start")))
        self.globally.append(torch.rand(3))

    def step(self, batch, trust):
        self.globally.append(torch.rand(1))
        return super().step(batch, trust)


def test_a_restart_draws_new_numbers_from_named_streams_and_the_same_ones_in_every_run():
    phases = [Phase("a", 1), Phase("b", 1, restart=True), Phase("c", 1, restart=True)]
    first, second = (run_one(phases, Drawing())[0].learner for _ in range(2))
    assert len({tuple(numbers.tolist()) for numbers in first.named}) == 3
    assert all(torch.equal(a, b) for a, b in zip(first.named, second.named, strict=True))
    alone = run_one([Phase("a", 1)], Drawing())[0].learner
    assert torch.equal(alone.named[0], first.named[0]), "before a restart nothing is different"


def test_two_learners_draw_from_streams_of_their_own():
    from harness.runtime.seeding import OwnRandomness, global_randomness

    def trained(count, steps_of_second=1):
        teams = [team(Drawing()) for _ in range(count)]
        if count == 2:
            teams[1].randomness = OwnRandomness(0, "learner-1/training")
        with global_randomness(0, "training"):
            train(teams, make_pairs(), [Phase("one", 2)], watch=False)
        return [torch.cat(mine.learner.globally) for mine in teams]

    (alone,), (first, second), (again, same) = trained(1), trained(2), trained(2)
    assert torch.equal(alone, first), "the first draws what it would draw alone"
    assert not torch.equal(first, second)
    assert torch.equal(second, same)
    assert torch.equal(first, again)


def test_an_objective_that_wants_to_know_is_told_of_each_step_and_of_a_restart():
    class Counts:
        def __init__(self):
            self.told = []

        def end_step(self, step):
            self.told.append(step)

    mine = team(Plain())
    mine.objective = Counts()
    train([mine], make_pairs(), [Phase("a", 1), Phase("b", 2, restart=True)], watch=False)
    assert mine.objective.told == [1, 2, 3, 0, 1, 2, 3, 4, 5, 6]


def test_losses_of_pairs_come_from_blocks_of_one_size():
    learner = Chatty(batch_size=4)
    learner.begin(make_pairs(), [MAIN], None)
    collect_evidence(learner, make_pairs(), MAIN, 0)
    sizes = [len(event[1]) for event in learner.events if event[0] == "losses"]
    assert sum(sizes) == N
    assert max(sizes) - min(sizes) <= 1


def test_learner_that_cannot_weigh_trains_on_the_pairs_above_one_half_of_each_batch():
    weight = torch.linspace(0, 1, N)
    mine = Team(Plain(), None, PairTrust(weight), RunContext(2, torch.device("cpu")), "mine", selects=True)
    train([mine], make_pairs(), (MAIN,), watch=False)
    for rows, _, trust in mine.learner.seen:
        assert (trust.weight > 0.5).all()
        assert torch.equal(trust.weight, weight[torch.tensor(rows)])
    assert sorted({row for rows, _, _ in mine.learner.seen for row in rows}) == [n for n in range(N) if weight[n] > 0.5]


def test_learner_that_cannot_weigh_and_gets_nothing_stops_in_one_sentence():
    mine = Team(Plain(), None, PairTrust(torch.full((N,), 0.5)), RunContext(2, torch.device("cpu")), "d", selects=True)
    with pytest.raises(HarnessError, match=r"epoch 1 of phase 'main' detector 'd' leaves no batch with 1 pair above"):
        train([mine], make_pairs(), (MAIN,), watch=False)

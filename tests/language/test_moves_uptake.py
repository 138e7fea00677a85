from discussion_builders import discuss, say, talk

from classweave.language.transactivity import link, transactivity
from classweave.language.uptake import uptake, uptake_probability

IDEA = "The wood floats because its density is lower than the density of water."


def test_taking_words_up_and_asking_on_counts_more_than_moving_on():
    asked_on = uptake_probability(
        IDEA, "So the density of the wood is lower. Why does that matter?"
    )
    repeated = uptake_probability(IDEA, "Its density is lower than water.")
    moved_on = uptake_probability(IDEA, "Okay, get your pencils out.")
    assert asked_on > repeated > moved_on
    assert asked_on > 0.55
    assert moved_on < 0.45


def test_nothing_said_takes_nothing_up():
    assert uptake_probability(IDEA, "") == uptake_probability("", IDEA) == 0.0


EXCHANGE = (
    IDEA,
    "So you're saying the density of the wood is lower than water. How do you know the density?",
    "We measured the mass and the volume of the wood in the tank.",
    "Okay.",
)


def test_uptake_is_a_share_of_turns_that_had_something_to_take_up():
    measure = uptake(talk(*EXCHANGE * 4))
    # of 15 pairs the three that follow "Okay." have nothing to take up
    assert measure.n == 12
    assert measure.details["high"] == measure.value
    assert any(e.quote == EXCHANGE[1] for e in measure.evidence)
    assert abs(sum(measure.details[k] for k in ("none", "some", "high")) - 1) < 1e-9


def test_one_person_alone_takes_nothing_up():
    lines = [say("ana", i * 5.0, i * 5.0 + 4, IDEA) for i in range(20)]
    assert uptake(discuss(*lines)).status == "not_enough"


def test_a_shared_device_gives_no_number():
    lines = [say(None, i * 5.0, i * 5.0 + 4, EXCHANGE[i % 3]) for i in range(20)]
    for measure in (uptake(discuss(*lines)), transactivity(discuss(*lines))):
        assert measure.status == "not_enough"
        assert "One device" in measure.reason


def test_links_between_ideas():
    assert link("I disagree with that", (IDEA,)) == "yes"
    assert link("but the density of iron is higher", (IDEA,)) == "yes"
    assert link("the wood was nice", (IDEA,)) == "uncertain"
    assert link("Saturday was fun", (IDEA,)) == "no"
    assert link(IDEA, ()) == "no"


def test_transactivity_looks_at_other_members_only():
    agreeing = talk(*("Density decides it.", "But density is not all.") * 6, speakers="ana bo")
    assert transactivity(agreeing).value > 0.4
    alone = [say("ana", i * 20.0, i * 20.0 + 4, "But density is not all of it.") for i in range(12)]
    assert transactivity(discuss(*alone)).status == "not_enough"


def test_the_turn_is_quoted_whole_with_its_times():
    lines = talk(*("Density decides it.", "I agree, density is the point.") * 6, speakers="ana bo")
    first = transactivity(lines).evidence[0]
    assert (first.quote, first.start, first.end) == ("I agree, density is the point.", 5.0, 9.0)

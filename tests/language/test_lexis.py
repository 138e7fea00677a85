import pytest
from discussion_builders import discuss, say, talk
from hypothesis import given
from hypothesis import strategies as st

from classweave.language.lexis import (
    academic_vocabulary,
    conceptual_density,
    is_academic,
    lexical_density,
    lexical_diversity,
    mtld,
    words_per_minute,
)
from classweave.language.transcript import Word
from classweave.language.words import lemma, tokens

PLANTS = (
    "The leaf takes in carbon dioxide from the air and water from the roots.",
    "Then chlorophyll in the leaf catches the light and makes glucose.",
    "What evidence do we have that the plant needs carbon dioxide?",
    "In our experiment the plant without light did not make any glucose at all.",
    "So we can conclude that light is a factor in photosynthesis.",
    "And the chlorophyll is green because it reflects green light.",
)


@given(st.text(max_size=60))
def test_tokens_are_words_of_any_script(text):
    for token in tokens(text):
        assert any(c.isalnum() for c in token)
        assert lemma(token)


def test_tokens_leave_out_emoji_and_keep_other_scripts():
    assert tokens("😀 Don’t stop… שלום नमस्ते!") == ("don't", "stop", "שלום", "नमस्ते")


@given(st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=200))
def test_mtld_is_at_least_one_and_the_same_from_both_ends(words):
    assert mtld(words) >= 1.0
    assert mtld(words) == pytest.approx(mtld(words[::-1]))


def test_mtld_by_hand():
    # "a b a a": the ratio falls to 2/3 at the third word (one factor), then a rest of 1 with 1.
    forward = 4 / 1
    # backwards "a a": 1/2 at the second word, then "b a" with ratio 1: one factor as well.
    assert mtld(["a", "b", "a", "a"]) == pytest.approx((forward + 4 / 1) / 2)
    assert mtld([]) == 0.0
    assert mtld(list("abcdef")) == 6.0


def test_density_by_hand():
    line = "the cat saw a dog and it ran off to the old red barn"  # cat saw dog ran old red barn
    d = talk(*[line] * 5)
    assert lexical_density(d).value == pytest.approx(7 / 14)


def test_fifty_words_at_least_and_a_hundred_for_certainty():
    assert lexical_diversity(talk("too few words here")).status == "not_enough"
    assert lexical_diversity(talk(*PLANTS)).status == "uncertain"
    assert lexical_diversity(talk(*PLANTS * 2)).status == "ok"


def test_misheard_words_do_not_count():
    def heard(probability: float):
        words = tuple(Word(f" w{i}", i, i + 1, probability) for i in range(60))
        return discuss(say("ana", 0, 60, " ".join(w.text for w in words), words=words))

    assert words_per_minute(heard(0.9)).n == 60
    doubtful = words_per_minute(heard(0.3))
    assert (doubtful.n, doubtful.coverage) == (0, 0.0)


@pytest.mark.parametrize("word", ["evidence", "hypotheses", "evaluation", "analysed", "evaluating"])
def test_academic_words_by_lemma_and_derivation(word):
    assert is_academic(word)


@pytest.mark.parametrize("word", ["cat", "exactly", "running", "thing", "because", "mother"])
def test_everyday_words_are_not_academic(word):
    assert not is_academic(word)


def test_academic_words_are_named_in_the_evidence():
    measure = academic_vocabulary(talk(*PLANTS))
    assert 0 < measure.value < 0.3
    assert any("evidence" in e.note for e in measure.evidence)


def test_concepts_are_found_in_any_form():
    d = talk(*PLANTS)
    concepts = ("photosynthetic", "carbon dioxide", "glucose", "respiration")
    measure = conceptual_density(
        discuss(*d.utterances, members="ana bo cy", concepts=concepts, seconds=60)
    )
    assert measure.details["concepts"] == 3.0
    assert measure.details["concepts_planned"] == 4.0
    assert "concept:respiration" not in measure.details
    assert measure.details["terms"] >= 1


def test_other_languages_decline_where_the_list_is_english():
    d = talk(*PLANTS)
    spanish = discuss(*d.utterances, language="es")
    assert "English" in academic_vocabulary(spanish).reason
    assert lexical_diversity(spanish).value is not None

import copy

from classweave.language.messages import gettext, ngettext


def test_a_message_is_english_text_that_knows_how_it_was_made():
    few = ngettext("Only %(n)s turn; %(needed)s needed.", "Only %(n)s turns.", 1, needed=6)
    assert few == "Only 1 turn; 6 needed."
    assert (few.plural, few.n, few.values) == ("Only %(n)s turns.", 1, {"needed": 6, "n": 1})
    assert gettext("%(share)s %% of %(who)s", share=0.5, who=("Ana", "Bo")) == "0.5 % of Ana, Bo"
    line = gettext("%(sentence)s!", sentence=few)
    again = copy.deepcopy(line)
    assert (again, again.pattern, again.values) == (line, "%(sentence)s!", {"sentence": few})

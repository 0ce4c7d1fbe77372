"""A word for every slot."""

from __future__ import annotations

import pytest

from cluster.slot_tags import tag_of
from cluster.slots import SLOT_COUNT
from node.core.key_slot import key_slot


def test_every_slot_has_a_word_that_is_hashed_to_it() -> None:
    tags = [tag_of(slot) for slot in range(SLOT_COUNT)]
    assert [key_slot(b"any-{%s}-thing" % tag) for tag in tags] == list(range(SLOT_COUNT))
    assert all(len(tag) == 4 and tag.isalnum() for tag in tags)


def test_there_is_none_for_what_is_no_slot() -> None:
    with pytest.raises(ValueError, match="no slot"):
        tag_of(SLOT_COUNT)

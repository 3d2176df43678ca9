"""Reading token numbers with the vocabulary that tiktoken keeps."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from o2o.tokens import find

# The first 256 of the real ones are the bytes, in another order.
WORDS = [b"!", b"he", b"llo", b"\xc3", b"\xbc", b" w"]


def vocabulary(folder: Path, name: str = "9b5ad71b2ce5302211f9c61530b329a4922fc6a4") -> Path:
    """Write a small vocabulary as tiktoken would, and return its folder."""
    lines = (base64.b64encode(word) + b" %d\n" % number for number, word in enumerate(WORDS))
    (folder / name).write_bytes(b"".join(lines))
    return folder


@pytest.mark.parametrize("name", ["9b5ad71b2ce5302211f9c61530b329a4922fc6a4", "cl100k_base.tiktoken"])
def test_numbers_are_read_with_the_file_in_tiktokens_folder(tmp_path: Path, name: str) -> None:
    found = find(str(vocabulary(tmp_path, name)))
    assert found is not None
    assert found.decode([1, 2, 0]) == "hello!"
    assert found.decode([1, 3, 4]) == "heü"


def test_a_letter_that_was_cut_is_a_mark_and_not_a_failure(tmp_path: Path) -> None:
    found = find(str(vocabulary(tmp_path)))
    assert found is not None
    assert found.decode([1, 3]) == "he\N{REPLACEMENT CHARACTER}"


def test_a_number_that_is_no_word_is_told(tmp_path: Path) -> None:
    found = find(str(vocabulary(tmp_path)))
    assert found is not None
    with pytest.raises(KeyError, match="100257"):
        found.decode([1, 100257])


def test_the_file_is_read_when_it_is_needed_and_then_no_more(tmp_path: Path) -> None:
    found = find(str(vocabulary(tmp_path)))
    assert found is not None
    (tmp_path / "9b5ad71b2ce5302211f9c61530b329a4922fc6a4").write_bytes(base64.b64encode(b"other") + b" 0\n")
    assert found.decode([0]) == "other"
    (tmp_path / "9b5ad71b2ce5302211f9c61530b329a4922fc6a4").unlink()
    assert found.decode([0]) == "other"


def test_without_a_folder_a_file_or_a_vocabulary_in_it_there_is_none(tmp_path: Path) -> None:
    assert find(None) is None
    assert find(str(tmp_path / "gone")) is None
    assert find(str(tmp_path)) is None
    (tmp_path / "cl100k_base.tiktoken").write_text("<html>not found</html>")
    assert find(str(tmp_path)) is None

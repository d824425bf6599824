"""Options out of their limits, and tables that every line of is a row."""

import argparse
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from songs.__main__ import main
from songs.terminal import cell, number_above, say_rows, whole_number


class TestNumbers:
    def test_what_is_taken(self):
        assert whole_number(1)("1") == 1 and whole_number(0)("0") == 0
        assert number_above(0)("1e-3") == 0.001 and number_above(0, most=1)("1") == 1.0

    @pytest.mark.parametrize("text", ["0", "-1", "1.5", "nan", "inf", "", "x"])
    def test_whole_numbers_refused(self, text):
        with pytest.raises(argparse.ArgumentTypeError, match="and a whole number of at least 1 is needed"):
            whole_number(1)(text)

    @pytest.mark.parametrize("text", ["0", "-0.1", "nan", "inf", "-inf", "", "x"])
    def test_numbers_refused(self, text):
        with pytest.raises(argparse.ArgumentTypeError, match="and a number above 0 is needed"):
            number_above(0)(text)

    @pytest.mark.parametrize("text", ["1.0001", "0", "nan"])
    def test_numbers_beyond_a_most_refused(self, text):
        message = f"'{text}', and a number above 0, and of at most 1, is needed"
        with pytest.raises(argparse.ArgumentTypeError, match=message):
            number_above(0, most=1)(text)

    @pytest.mark.parametrize("command", ["samples", "features"])
    @pytest.mark.parametrize(
        ("option", "value", "needed"),
        [
            ("--count", "0", "a whole number of at least 1"),
            ("--seconds", "0", "a number above 0"),
            ("--seconds", "nan", "a number above 0"),
        ],
    )
    def test_of_samples(self, command, option, value, needed, capsys):
        with pytest.raises(SystemExit, match="2"):
            main([command, option, value])
        assert f"argument {option}: '{value}', and {needed} is needed" in capsys.readouterr().err

    @pytest.mark.parametrize("command", ["samples", "features"])
    def test_a_rate_that_no_sound_has(self, command, capsys, tmp_path):
        """The limits of a rate are those of ``Settings``: those of features are narrower."""
        assert main([command, "--rate", "0", "--tables", str(tmp_path)]) == 1
        error = capsys.readouterr().err
        assert error.startswith("error: rate=0; whole Hz from") and len(error.splitlines()) == 1


class TestCells:
    @pytest.mark.parametrize(
        ("text", "written"),
        [
            ("a\ttab", r"a\ttab"),
            ("b\nline\r", r"b\nline\r"),
            (r"c:\new", r"c:\\new"),
            ("\x1b[2J\x00\x7f\x85", r"\x1b[2J\x00\x7f\x85"),
            ("\u2028\u2029", r"\u2028\u2029"),
            ("Dvořák, 交響曲 «№ 9»", "Dvořák, 交響曲 «№ 9»"),
        ],
    )
    def test_closed_form(self, text, written):
        assert cell(text) == written

    @given(st.text())
    def test_is_one_line_and_says_what_it_was(self, text):
        written = cell(text)
        assert "\t" not in written and len(written.splitlines()) <= 1
        # Python reads the same escapes.
        assert written.encode("latin-1", "backslashreplace").decode("unicode_escape") == text

    @given(st.lists(st.lists(st.text(), min_size=3, max_size=3)))
    def test_rows(self, rows):
        out = io.StringIO(newline="")
        say_rows(rows, out)
        lines = out.getvalue().split("\n")
        assert lines.pop() == ""
        assert [line.split("\t") for line in lines] == [
            [cell(text).encode("utf-8", "backslashreplace").decode() for text in row] for row in rows
        ]

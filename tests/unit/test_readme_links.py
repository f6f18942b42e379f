"""Each sentence of the guarantee, and each row of the table of failures, names the test that shows it."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "README.md").read_text("utf-8")
DEFINITION = re.compile(r'^\[([a-z-]+)\]: (tests/\S+\.py) "(test_\w+)"$', re.MULTILINE)
USE = re.compile(r"\[[^\[\]]+\]\[([a-z-]+)\]")
FILE = re.compile(r"\]\(((?!https?:)[^)#]+)")
DEFINED = {name: (path, test) for name, path, test in DEFINITION.findall(TEXT)}


def section(heading: str) -> str:
    return TEXT.partition(f"## {heading}\n")[2].partition("\n## ")[0]


def sentences() -> list[str]:
    """The numbered promises and what follows them, up to the example."""
    text = section("What is guaranteed").partition("```")[0].partition("As long as Redis keeps its data:")[2]
    # What is in bold begins its sentence.
    text = re.sub(r"\n\d\. ", "\n\n", text).replace(".** ", "** ")
    parts = re.split(r"\.\s+(?=[A-Z])|\n\n", text)
    return [" ".join(part.split()) for part in parts if part.strip()]


def rows() -> list[str]:
    table = section("How a message flows").partition("| then | this happens |")[2].partition("\n\n")[0]
    return table.splitlines()[2:]


@pytest.mark.parametrize("name", DEFINED)
def test_a_link_names_a_test_that_is_there(name: str):
    path, test = DEFINED[name]

    tree = ast.parse((ROOT / path).read_text("utf-8"))
    assert test in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_each_link_is_defined_and_each_definition_is_used():
    assert set(USE.findall(TEXT)) == set(DEFINED)


@pytest.mark.parametrize("sentence", sentences())
def test_each_sentence_of_the_guarantee_has_its_test(sentence: str):
    assert USE.findall(sentence)


@pytest.mark.parametrize("row", rows())
def test_each_row_of_the_failure_table_has_its_test(row: str):
    assert USE.findall(row)


def test_there_are_sentences_and_rows():
    assert len(sentences()) >= 8
    assert len(rows()) >= 12


@pytest.mark.parametrize("path", sorted(set(FILE.findall(TEXT))))
def test_a_file_that_is_linked_is_there(path: str):
    assert (ROOT / path).exists()

"""What the marks of a task's runs say of its outcome."""

from tests.stage import Stage


def runs_of(stage: Stage, name: str) -> list[int]:
    """The fencing token of each run, in the order in which they began."""
    return list(dict.fromkeys(token for _, _, token, _ in stage.marks(name)))


def assert_one_outcome_of_a_later_run(stage: Stage, name: str) -> None:
    """Assert that a second run took over with a higher token, and that it alone came to its end."""
    runs = runs_of(stage, name)
    done = [token for text, _, token, _ in stage.marks(name) if text == "done"]
    assert len(runs) == 2
    assert runs[1] > runs[0]
    assert done == [runs[1]]

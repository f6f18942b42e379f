"""Puts `celery-on-dramatiq.pth` at the top of the wheel, which becomes `site-packages`; pyproject.toml names this."""

from setuptools.command.build_py import build_py

SWITCH = "celery-on-dramatiq.pth"


class BuildWithSwitch(build_py):
    """Copies the file where Python looks for such files."""

    def run(self) -> None:
        """Build, and copy it."""
        super().run()
        if not self.editable_mode:
            self.copy_file(f"compat/{SWITCH}", f"{self.build_lib}/{SWITCH}")

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        """What is built, with the file."""
        return [*super().get_outputs(include_bytecode), f"{self.build_lib}/{SWITCH}"]

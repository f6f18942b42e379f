"""What importing the package costs and gives."""

import subprocess
import sys

import app.extract


def test_every_public_name_can_be_imported():
    missing = [name for name in app.extract.__all__ if not hasattr(app.extract, name)]

    assert missing == []


def test_no_parser_is_imported_in_the_process_that_reads():
    script = "import sys, app.extract; print(*{'pypdf', 'docx', 'openpyxl', 'bs4', 'lxml', 'numpy'} & set(sys.modules))"

    imported = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert imported.stdout.strip() == ""

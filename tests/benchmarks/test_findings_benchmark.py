"""The benchmark of finding labels runs on reports in the layout of the collection."""

from __future__ import annotations

import subprocess
import sys
import tarfile
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "findings.py"
REPORT = """<eCitation><uId id="CXR{number}"/>
<AbstractText Label="FINDINGS">{text}</AbstractText>
<MeSH><major>{term}</major></MeSH></eCitation>"""


def test_labels_are_compared_with_the_terms_of_one_half(tmp_path):
    kinds = [("Mild cardiomegaly.", "Cardiomegaly/mild"), ("Normal chest.", "normal")]
    archive = tmp_path / "reports"
    archive.mkdir()
    for number in range(1, 41):
        text, term = kinds[(number // 2) % 2]
        if number == 5:
            text = "Stable chest."  # a report whose term the rules must miss
        data = REPORT.format(number=number, text=text, term=term)
        (archive / f"{number}.xml").write_text(data)
    (archive / "41.xml").write_text("<eCitation>")
    with tarfile.open(tmp_path / "reports.tgz", "w:gz") as packed:
        packed.add(archive, arcname="reports")
    outputs = []
    for folder in (archive, tmp_path):
        if folder == tmp_path:
            for file in archive.iterdir():
                file.unlink()
        done = subprocess.run(
            [sys.executable, SCRIPT, folder],
            capture_output=True,
            text=True,
            check=False,
            timeout=200,
        )
        assert done.returncode == 0, done.stderr
        assert "20 coded reports with odd numbers" in done.stdout
        outputs.append([line for line in done.stdout.splitlines() if line.startswith("| ")])
    assert outputs[0] == outputs[1]  # the folder and the archive hold the same
    cells = {row.split("|")[1].strip(): row for row in outputs[0]}
    assert "| 10 | 9 | 1.00 [1.00, 1.00] | 0.90 [" in cells["cardiomegaly"]
    assert "| 10 | 10 | 1.00 [1.00, 1.00] | 1.00 [1.00, 1.00] |" in cells["no finding"]

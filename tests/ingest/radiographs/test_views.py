"""Names of views."""

import pytest

from medssl.ingest.radiographs.views import canonical_view, is_frontal


@pytest.mark.parametrize(
    ("text", "view"),
    [
        ("PA", "PA"),
        ("pa", "PA"),
        ("P.A.", "PA"),
        ("Postero-anterior", "PA"),
        ("POSTEROANTERIOR", "PA"),
        ("postero-anterior ", "PA"),
        ("AP", "AP"),
        ("antero-posterior", "AP"),
        ("AP portable", "AP"),
        ("AP Supine", "AP supine"),
        ("AP_SUPINE", "AP supine"),
        ("AP-horizontal", "AP supine"),
        ("LL", "lateral"),
        ("LATERAL", "lateral"),
        ("L", "lateral"),
        ("left lateral", "lateral"),
        ("frontal", "frontal"),
    ],
)
def test_known_texts(text, view):
    assert canonical_view(text) == view
    assert canonical_view(view) == view


@pytest.mark.parametrize(
    "text",
    [None, "", "  ", "LLD", "AP LLD", "left lateral decubitus", "LAO", "RPO", "AP AXIAL",
     "lordotic", "SWIMMERS", "Axial", "Coronal", "supine", "P", "A", "?", "PA and lateral"],
)  # fmt: skip
def test_other_texts_are_never_guessed(text):
    assert canonical_view(text) is None


def test_frontal_views():
    frontal = [view for view in ("PA", "AP", "AP supine", "frontal", "lateral", None)
               if is_frontal(view)]  # fmt: skip
    assert frontal == ["PA", "AP", "AP supine", "frontal"]

import pytest
from tools.links import broken

PAGE = '<h1 id="top">A</h1><a href="{}">there</a>'


@pytest.mark.parametrize(
    "link, problem",
    [
        ("guide/", None),
        ("guide/#use%20it", None),
        ("/guide/index.html", None),
        ("#top", None),
        ("https://example.org/none", None),
        ("mailto:someone@example.org", None),
        ("image.png", None),
        ("none/", "index.html: none/ is not there"),
        ("#bottom", "index.html: #bottom has no such anchor"),
        ("guide/#misuse", "index.html: guide/#misuse has no such anchor"),
    ],
)
def test_links_that_lead_nowhere_are_found(tmp_path, link, problem):
    (tmp_path / "guide").mkdir()
    (tmp_path / "guide" / "index.html").write_text('<h2 id="use it">Use</h2><img src="../image.png">')
    (tmp_path / "image.png").touch()
    (tmp_path / "index.html").write_text(PAGE.format(link))
    assert broken(tmp_path) == ([] if problem is None else [problem])

"""Pages of the repository: their links, and the index of docs/."""

import re
from pathlib import Path

import pytest

from tests.openai.document import operations, schema
from tests.support.live_server import ROOT

SKIPPED = {".git", ".venv", "node_modules", ".terraform"}
PAGES = sorted(
    path for path in ROOT.rglob("*.md") if not SKIPPED.intersection(path.relative_to(ROOT).parts)
)
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")


def prose(path: Path) -> str:
    """A page without its code, where brackets mean other things."""
    text = re.sub(r"^```.*?^```$", "", path.read_text(encoding="utf-8"), flags=re.DOTALL | re.M)
    return re.sub(r"`[^`\n]*`", lambda code: re.sub(r"[\[\]()]", "", code.group()), text)


def anchors(path: Path) -> set[str]:
    """Of a page's headings, as GitHub makes them."""
    found = set()
    for heading in re.findall(r"^#+ (.*)$", prose(path), re.M):
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        found.add(re.sub(r"[^\w\- ]", "", words).replace(" ", "-"))
    return found


def broken(path: Path, root: Path = ROOT) -> list[str]:
    wrong = []
    for link in LINK.findall(prose(path)):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (path.parent / name).resolve() if name else path
        is_there = target.exists() and target.is_relative_to(root)
        if not is_there or (anchor and anchor not in anchors(target)):
            wrong.append(link)
    return wrong


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_relative_link_and_anchor_of_a_page_resolves(path: Path) -> None:
    assert broken(path) == []


def test_a_link_to_nothing_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# A heading\n\n[a](#a-heading) [b](#none) [c](none.md) [d](https://e.org)\n")
    assert broken(page, tmp_path) == ["#none", "none.md"]


def test_the_index_has_every_page_of_docs() -> None:
    index = ROOT / "docs" / "README.md"
    listed = {(index.parent / link).resolve() for link in LINK.findall(prose(index))}
    pages = {path for path in PAGES if path.is_relative_to(index.parent)} - {index}
    assert {path for path in pages if path not in listed and path.parent not in listed} == set()


def test_a_person_reads_the_readme_in_three_minutes() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 100


def test_the_page_on_the_api_has_every_route_and_every_field() -> None:
    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    routes = set(re.findall(r"`(?:[A-Z]+ )?(/[^`]+)`", page))
    for path, _, _ in operations():
        # A route stands for those below it.
        assert any(f"{path}/".startswith(f"{route}/") for route in routes), path
    for name in schema("CreateTranscriptionRequest")["properties"]:
        assert f"`{name}" in page, name

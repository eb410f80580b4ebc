"""The site is built from the pages here, and no link or command on it leads nowhere."""

import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag

import pytest

ROOT = Path(__file__).parent.parent


class Page(HTMLParser):
    """The links of a page, and the names that a link can lead to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.names: set[str] = {""}
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        for name, value in attributes:
            if name in ("href", "src") and value is not None and "://" not in value and not value.startswith("data:"):
                self.links.append(value)
            elif name == "id" and value is not None:
                self.names.add(value)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site, without a trace in the checkout."""
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run([sys.executable, ROOT / "scripts" / "site.py", folder], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "arning" not in done.stdout + done.stderr
    return folder / "site"


def test_every_link_leads_somewhere(site: Path) -> None:
    pages = {path: Page(path.read_text()) for path in site.rglob("*.html") if path.name != "404.html"}
    for path, page in pages.items():
        for link in page.links:
            target, name = urldefrag(unquote(link))
            file = (path.parent / target).resolve() if target else path
            file = file / "index.html" if file.is_dir() else file
            assert file.is_file(), f"{path.relative_to(site)}: {link}"
            if file in pages:
                assert name in pages[file].names, f"{path.relative_to(site)}: {link}"


def test_every_page_of_docs_can_be_reached_from_the_menu(site: Path) -> None:
    menu = {urldefrag(link)[0].rstrip("/") for link in Page((site / "index.html").read_text()).links}
    missing = [page.stem for page in (ROOT / "docs").glob("*.md") if f"docs/{page.stem}" not in menu]
    assert not missing


def test_the_reference_has_what_people_call(site: Path) -> None:
    names = Page((site / "reference" / "python" / "index.html").read_text()).names
    assert {"adarts.search", "adarts.run", "adarts.methods.Method.sample", "adarts.errors.AdartsError"} <= names
    assert "adarts-search" in Page((site / "reference" / "commands" / "index.html").read_text()).names

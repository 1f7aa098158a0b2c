"""What MkDocs is told beside mkdocs.yml: pages that stand elsewhere in the repository."""

from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parent.parent
ELSEWHERE = {"architecture.md": "ARCHITECTURE.md", "chart.md": "helm/turnstream/README.md"}
"""Where a page of the site stands, from the repository's root."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are not in docs/."""
    for page, place in ELSEWHERE.items():
        files.append(File.generated(config, page, content=(ROOT / place).read_text(encoding="utf-8")))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Links that lead to such a page in the repository lead to it on the site; those of such a page into docs/, too."""
    for name, place in ELSEWHERE.items():
        markdown = markdown.replace(f"](../{place})", f"]({name})")
    if page.file.src_uri in ELSEWHERE:
        markdown = markdown.replace("](docs/", "](").replace("](../../docs/", "](")
    return markdown

"""A document of sections, written as one self-contained HTML file or as Markdown."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, TypeAlias

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup, escape

from cxr_noise_transforms.study.files import whole_file

_TEMPLATE = Path(__file__).with_name("document.html.jinja")
# a number with its sign, unit, interval and mark, or nothing
_NUMBER = re.compile(r"([<>+-]?[\d∞–][\d.e+-]*( %)?( \[[^]]*\])?( [*†])?)?")


@dataclass(frozen=True)
class Picture:
    """An image.

    Args:
        file: its name beside the Markdown.
        alt: what is to be seen.
        content: PNG or JPEG.
        svg: an ``<svg>`` element that the HTML has instead.
        caption: below it.
    """

    file: str
    alt: str
    content: bytes
    svg: str = ""
    caption: str = ""

    @property
    def uri(self) -> str:
        """The content as a data URI."""
        kind = "png" if self.file.endswith("png") else "jpeg"
        return f"data:image/{kind};base64,{base64.b64encode(self.content).decode()}"


@dataclass(frozen=True)
class Heading:
    """Above the blocks that follow."""

    kind: ClassVar[str] = "heading"
    text: str


@dataclass(frozen=True)
class Text:
    """A paragraph; a notice stands out."""

    kind: ClassVar[str] = "text"
    text: str
    notice: bool = False


@dataclass(frozen=True)
class Points:
    """Sentences, each after the words in bold that it is about."""

    kind: ClassVar[str] = "points"
    points: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Table:
    """A table; the first column names its rows. Columns of numbers are flush right.

    A header of empty names is not shown in the HTML.
    """

    kind: ClassVar[str] = "table"
    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[str | Picture]]

    @property
    def numeric(self) -> list[bool]:
        """Whether each column holds numbers."""
        return [
            all(isinstance(cell, str) and _NUMBER.fullmatch(cell) for cell in column)
            for column in zip(*self.rows, strict=True)
        ]


@dataclass(frozen=True)
class Gallery:
    """Pictures side by side, as many as fit; ``wide`` ones need more room each."""

    kind: ClassVar[str] = "gallery"
    caption: str
    pictures: Sequence[Picture]
    wide: bool = False


@dataclass(frozen=True)
class Card:
    """An answer at a glance: two numbers, a sentence, and a picture.

    Args:
        lead: what it is about.
        subject: what the numbers are.
        numbers: from one to the other.
        where: what lies between them.
        text: the rest of the sentence.
        sentence: the same in words alone, for Markdown.
        picture: below it.
    """

    lead: str
    subject: str
    numbers: str
    where: str
    text: str
    sentence: str
    picture: Picture | None = None


@dataclass(frozen=True)
class Cards:
    """Answers side by side; the caption says how their pictures are read."""

    kind: ClassVar[str] = "cards"
    cards: Sequence[Card]
    caption: str = ""


@dataclass(frozen=True)
class Code:
    """Lines to be read as they are."""

    kind: ClassVar[str] = "code"
    text: str


@dataclass(frozen=True)
class Folded:
    """Blocks that are shown, or hidden, on demand."""

    kind: ClassVar[str] = "folded"
    title: str
    blocks: Sequence[Block]
    shown: bool = False


Block: TypeAlias = "Heading | Text | Points | Table | Gallery | Cards | Code | Folded"


@dataclass(frozen=True)
class Section:
    """A title and its blocks; without a title it opens the document."""

    title: str
    blocks: Sequence[Block] = field(default_factory=list)


def write(out: Path, title: str, sections: Sequence[Section]) -> list[Path]:
    """Write ``report.html``, ``report.md`` and its pictures; sections without blocks are left out.

    Returns:
        The two files.
    """
    sections = [section for section in sections if section.blocks]
    folder = out / "report"
    for section in sections:
        for image in pictures(section.blocks):
            with whole_file(folder / image.file) as beside:
                beside.write_bytes(image.content)
    texts = {
        out / "report.html": html(title, sections),
        out / "report.md": markdown(title, sections, folder.name),
    }
    for path, text in texts.items():
        with whole_file(path) as beside:
            beside.write_text(text, encoding="utf-8")
    return list(texts)


def html(title: str, sections: Sequence[Section]) -> str:
    """The document as HTML that needs no other file, no network and no script."""
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["words"] = _words
    environment.filters["anchor"] = _anchor
    template = environment.from_string(_TEMPLATE.read_text(encoding="utf-8"))
    return template.render(title=title, sections=sections)


def markdown(title: str, sections: Sequence[Section], folder: str) -> str:
    """The document as Markdown, with its pictures in a folder beside it."""
    parts = [f"# {_escaped(title)}"]
    for section in sections:
        parts += [f"## {_escaped(section.title)}"] if section.title else []
        parts += [_block(block, folder) for block in section.blocks]
    return "\n\n".join(parts) + "\n"


def pictures(blocks: Sequence[Block]) -> list[Picture]:
    """All pictures of blocks, folded ones too."""
    found: list[Picture] = []
    for block in blocks:
        if isinstance(block, Gallery):
            found += block.pictures
        elif isinstance(block, Cards):
            found += [card.picture for card in block.cards if card.picture]
        elif isinstance(block, Table):
            found += [cell for row in block.rows for cell in row if isinstance(cell, Picture)]
        elif isinstance(block, Folded):
            found += pictures(block.blocks)
    return found


def _words(text: str) -> Markup:
    """Symbols with their index, minus signs, and marks beside their number's column."""
    safe = re.sub(
        r"(?<!\w)s_([qe])(?![A-Za-z0-9_])", r"<var>s<sub>\1</sub></var>", str(escape(text))
    )
    safe = re.sub(r"(?<![\w.-])-(?=\d+\.\d)", "\N{MINUS SIGN}", safe)
    return Markup(re.sub(r" ([*†])$", r'<span class="mark">\1</span>', safe))  # noqa: S704 (escaped)


def _anchor(title: str) -> str:
    return re.sub(r"\W+", "-", title.lower())


def _block(block: Block, folder: str) -> str:
    match block:
        case Heading(text):
            lines = [f"### {_escaped(text)}"]
        case Text(text, notice):
            lines = [f"{'> ' if notice else ''}{_escaped(text)}"]
        case Points(points):
            lines = [f"- **{_escaped(lead)}** {_escaped(text)}" for lead, text in points]
        case Table(caption, header, rows):
            ends = [" ---: |" if number else " --- |" for number in block.numeric]
            lines = [f"*{_escaped(caption)}*", "", _row(header, folder), "|" + "".join(ends)]
            lines += [_row(row, folder) for row in rows]
        case Gallery(caption, images):
            names = [image.caption for image in images]
            lines = [f"*{_escaped(caption)}*", "", _row(names, folder)]
            lines += ["|" + " --- |" * len(names), _row(images, folder)]
        case Cards(cards, caption):
            lines = [f"- **{_escaped(card.lead)}:** {_escaped(card.sentence)}" for card in cards]
            images = [card.picture for card in cards if card.picture]
            if images:
                lines += ["", _block(Gallery(caption, images), folder)]
        case Code(text):
            lines = [f"    {line}" for line in text.splitlines()]
        case Folded(title, blocks, shown):
            lines = [f"<details{' open' if shown else ''}>\n<summary>{_escaped(title)}</summary>"]
            lines += [f"\n{_block(one, folder)}" for one in blocks]
            lines.append("\n</details>")
    return "\n".join(lines)


def _row(cells: Sequence[str | Picture], folder: str) -> str:
    shown = [
        _image(cell, folder) if isinstance(cell, Picture) else _escaped(cell) for cell in cells
    ]
    return f"| {' | '.join(shown)} |"


def _image(picture: Picture, folder: str) -> str:
    alt = _escaped(re.sub(r"[\[\]]", "", picture.alt))
    return f"![{alt}]({folder}/{picture.file})"


def _escaped(text: str) -> str:
    """Text that Markdown shows as it is."""
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"[\\`*|]|\](?=[(\[])|(?<!\w)_|_(?!\w)", r"\\\g<0>", text)

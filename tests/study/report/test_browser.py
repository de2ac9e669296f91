"""How a browser shows a report."""

from pathlib import Path

import pandas as pd
import pytest
from browser import CHROMIUM, chromium
from ladders import dice_table, score_table
from reports import look, read

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium here")


def test_browser_shows_it_without_errors_network_or_sideways_scrolling(tmp_path: Path) -> None:
    table = pd.concat([dice_table(), score_table()])
    table["image"] = table.image + "-with-a-name-that-is-far-too-long-for-the-window-of-a-telephone"
    read(table, tmp_path, views=look)
    with chromium(tmp_path / "profile") as tab:
        for width, scheme in ((1280, "light"), (390, "dark")):
            tab.open(tmp_path / "report.html", width, scheme)
            tab.value("document.querySelectorAll('details').forEach(one => one.open = true)")
            assert tab.value("document.documentElement.scrollWidth") <= width
            assert tab.value("[...document.images].every(one => one.naturalWidth > 0)")
            complaints = {"Log.entryAdded", "Runtime.exceptionThrown", "Runtime.consoleAPICalled"}
            assert not [event for event in tab.events if event.get("method") in complaints]
            asked = [
                event["params"]["request"]["url"].partition(":")[0]
                for event in tab.events
                if event.get("method") == "Network.requestWillBeSent"
            ]
            assert asked.count("file") == 1
            assert set(asked) == {"file", "data"}


@pytest.mark.parametrize(
    "table",
    [dice_table(), score_table(), pd.concat([score_table(), score_table().assign(task="another")])],
    ids=["masks", "scores", "two-tasks"],
)
def test_the_answer_is_on_the_first_screen(table: pd.DataFrame, tmp_path: Path) -> None:
    read(table, tmp_path, views=look)
    below = "[...document.querySelectorAll('{}')].map(one => one.getBoundingClientRect().bottom)"
    with chromium(tmp_path / "profile") as tab:
        for width, height in ((1280, 800), (390, 844)):
            tab.open(tmp_path / "report.html", width, height=height)
            for part in (".card .numbers", ".card svg"):
                ends = tab.value(below.format(part))
                assert len(ends) == 2
                assert max(ends) <= height
            settings = "document.querySelector('#settings-and-provenance ~ details')"
            assert tab.value(f"{settings}.open") is False

"""Coming back to a run: in a second tab of the same browser, and by the browser's Back."""

import pytest
from playwright.sync_api import expect

from tests.ui.conftest import LEAVING
from tests.ui.test_browser_train import button, start, wait_for_step


@pytest.mark.slow
def test_a_second_tab_and_the_way_back_find_ones_own_run_and_steer_it(browser, app_url):
    with browser.new_context(viewport={"width": 1440, "height": 900}) as context:
        errors = []
        context.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.goto(app_url)
        page.wait_for_selector("#progress h2")
        start(page, 3)
        wait_for_step(page, 0)

        second = context.new_page()
        second.set_default_timeout(60_000)
        second.goto(page.url)
        button(second, "Pause").click()
        for tab in (page, second):
            expect(tab.locator("#progress h2")).to_contain_text("Paused")
        expect(second.locator("#watching")).not_to_be_visible()

        page.goto("about:blank")
        page.go_back()
        expect(page.locator("#progress h2")).to_contain_text("Paused")
        button(page, "Resume").click()
        wait_for_step(second, int(second.locator("[data-step]").get_attribute("data-step")))
        button(page, "Stop").click()
        expect(second.locator("#progress h2")).to_contain_text("Stopped", timeout=120_000)
        assert not [error for error in errors if not LEAVING.search(error)]

"""The view of jobs on the page."""

from pathlib import Path

from playwright.sync_api import expect

from tests.jobs.served_jobs import ServedJobs
from tests.support.api_keys import SALES_KEY
from tests.web.browser import chromium, opened
from tests.web.steps import CLIP, give_key


def test_the_page_sends_lists_downloads_cancels_and_clears_jobs(
    jobs: ServedJobs, tmp_path: Path
) -> None:
    recordings = [tmp_path / "one.wav", tmp_path / "two.wav"]
    for each in recordings:
        each.write_bytes(CLIP.read_bytes())
    jobs.ended(jobs.submit(model="whisper-1", metadata='{"name": "by a program.wav"}')["id"])
    jobs.model.gate.clear()
    with chromium(microphone=CLIP) as browser, opened(browser, jobs.url) as page:
        give_key(page, SALES_KEY)
        page.get_by_role("link", name="Jobs").click()
        rows = page.locator("#jobs-rows tr")
        expect(rows).to_have_count(1)
        expect(rows.first).to_contain_text("by a program.wav")
        page.set_input_files("#job-files", recordings)
        expect(rows).to_have_count(3)
        expect(page.locator("[data-status=in_progress]")).not_to_have_count(0)
        summary = page.locator("#jobs-summary")
        expect(summary).to_contain_text("1 completed")
        page.get_by_role("button", name="Cancel two.wav").click()
        expect(page.get_by_role("button", name="Delete two.wav")).to_be_visible()
        jobs.model.gate.set()
        expect(page.locator("[data-status=completed]")).to_have_count(2)
        with page.expect_download() as download:
            page.get_by_role("button", name="srt one.wav").click()
        assert download.value.suggested_filename == "one.srt"
        job = jobs.get("/v1/audio/jobs?status=completed")["data"][0]
        wanted = jobs.content(job["id"], "response_format=srt").content
        assert Path(download.value.path()).read_bytes() == wanted
        page.get_by_role("button", name="Delete by a program.wav").click()
        expect(page.locator("[data-status=completed]")).to_have_count(1)
        page.select_option("#jobs-status", "completed")
        page.get_by_role("button", name="Clear").click()
        expect(page.locator("[data-status=completed]")).to_have_count(0)
        expect(rows).to_have_count(1)
        assert [each["status"] for each in jobs.get("/v1/audio/jobs")["data"]] == ["cancelled"]
        page.get_by_role("link", name="Verbatim").click()
        expect(page.locator("#record")).to_be_visible()
        expect(rows.first).to_be_hidden()

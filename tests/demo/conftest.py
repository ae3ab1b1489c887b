"""The browser of the page's tests."""

from tests.page.conftest import browser, chromium

__all__ = ["browser", "chromium"]

"""The server knows how the agent's requests fare."""

from towerops_agent.api.wire.contract import CONFIG_PATH, METRICS_PATH
from towerops_lab.sandbox.batch import Contact, Exchange


def asked(contact: Contact, at_us: int, status: int | None, path: str = METRICS_PATH) -> None:
    contact.take(Exchange("POST", path, status, {}, 10, at_us, 0.25))


def test_it_knows_since_when_nothing_was_accepted_and_how_often_the_agent_has_asked():
    contact = Contact()
    asked(contact, 10, 200)
    assert (contact.failed, contact.failed_since_us, contact.took_ms) == (0, 0, 250.0)
    asked(contact, 20, None)
    asked(contact, 30, 401, CONFIG_PATH)
    assert (contact.asked_us, contact.status, contact.failed, contact.failed_since_us) == (30, 401, 2, 20)
    asked(contact, 40, 304, CONFIG_PATH)
    assert (contact.failed, contact.failed_since_us) == (0, 0)


def test_a_viewer_of_the_page_is_not_the_agent():
    contact = Contact()
    asked(contact, 10, 404, "/favicon.ico")
    assert contact == Contact()

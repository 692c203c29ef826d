"""Cookies of the page; tests/http/routes/test_auth.py has what they are good for."""

from starlette.responses import Response

from app.http.sessions import set_cookie


def test_with_tls_a_cookie_is_this_hosts_alone_and_never_sent_without_tls() -> None:
    response = Response()
    set_cookie(response, "session", "value", "https://speech.example.com/")
    assert response.headers["set-cookie"] == (
        "__Host-session=value; HttpOnly; Path=/; SameSite=lax; Secure"
    )

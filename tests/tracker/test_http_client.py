"""The HTTP client: deadlines, repeats, errors that name the request and hide the token."""

import time

import pytest

from tracker.http_client import Api, ApiError


def client(api, **more):
    return Api(api.url, {"Authorization": "Bearer s3cret"}, sleep=lambda _: None, **more)


def test_json_goes_both_ways(api):
    api.answers["POST /things"] = (201, {"id": 7})
    assert client(api).request("POST", "/things", body={"a": "ü"}) == {"id": 7}
    assert api.requests == [("POST", "/things", {"a": "ü"})]
    assert api.headers[0]["Authorization"] == "Bearer s3cret"


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 422, 500])
def test_a_refusal_names_the_request_and_its_reason_and_is_not_repeated(api, status):
    api.answers["GET /thing"] = (status, {"message": "Resource not accessible"})
    with pytest.raises(ApiError, match=rf"GET /thing: {status} Resource not accessible") as caught:
        client(api).request("GET", "/thing")
    assert caught.value.status == status
    assert len(api.requests) == 1
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_what_may_pass_is_repeated(api, status):
    api.answers["GET /thing"] = [(status, {}), (status, {}), (200, [1])]
    assert client(api).request("GET", "/thing") == [1]
    api.answers["GET /thing"] = [(status, b"<html>")] * 3
    with pytest.raises(ApiError, match=str(status)):
        client(api).request("GET", "/thing")


def test_no_connection(api):
    waits = []
    closed = Api("http://127.0.0.1:9", {}, sleep=waits.append)
    with pytest.raises(ApiError, match="GET /thing: no connection"):
        closed.request("GET", "/thing")
    assert waits == [1.0, 2.0]


def test_a_server_that_drips_is_ended_by_the_deadline(api):
    def drip(handler):
        handler.send_response(200)
        handler.end_headers()
        try:
            for _ in range(100):
                handler.wfile.write(b" ")
                handler.wfile.flush()
                time.sleep(0.05)
        except OSError:
            pass

    api.answers["GET /slow"] = drip
    begun = time.monotonic()
    with pytest.raises(ApiError, match=r"GET /slow: no answer within 0\.3 s"):
        client(api, deadline=0.3).request("GET", "/slow")
    assert time.monotonic() - begun < 3


def test_an_answer_that_is_no_json_or_no_list_is_an_error(api):
    api.answers |= {"GET /a": (200, b"<html>"), "GET /b": (200, {}), "GET /c": (204, b"")}
    with pytest.raises(ApiError, match="the answer is no JSON"):
        client(api).request("GET", "/a")
    with pytest.raises(ApiError, match="the answer is no list"):
        client(api).pages("/b")
    assert client(api).request("GET", "/c") is None


def test_all_pages_are_read(api):
    api.answers["GET /list"] = [(200, list(range(100))), (200, list(range(100, 130)))]
    assert client(api).pages("/list") == list(range(130))
    assert [path for _, path, _ in api.requests] == [
        "/list?per_page=100&page=1",
        "/list?per_page=100&page=2",
    ]


@pytest.mark.parametrize("url", ["http://api.example.org", "ftp://x", "api.github.com", ""])
def test_the_token_is_never_sent_in_the_clear(url):
    with pytest.raises(ApiError, match="no https address"):
        Api(url, {})

"""Pushing from a Space that signs its visitors in: their own token, which no page ever holds."""

from urllib.parse import parse_qs, urlparse

import gradio as gr
import httpx
import pytest

from tests.answering import Handler, listening
from tests.conftest import serving
from vit.ui import push
from vit.ui.train import outcome

TOKEN = "hf_oauth_of_a_visitor"


@pytest.fixture
def provider():
    """Address of an OpenID provider that says where it lets people sign in."""

    class Provider(Handler):
        def do_GET(self):
            address = self.server.address
            self.answer(200, {"issuer": address, "authorization_endpoint": f"{address}/oauth/authorize"})

    with listening(Provider) as address:
        yield address


def components(config: dict) -> dict[str, dict]:
    """Properties of the page's buttons and fields, by what is written on them."""
    props = [{**part["props"], "type": part["type"]} for part in config["components"]]
    return {str(prop.get("label") or prop.get("value")): prop for prop in props}


@pytest.mark.slow
def test_a_space_with_oauth_asks_to_sign_in_and_for_no_token(provider, tmp_path):
    variables = {"HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1", "VIT_RUNS_FOLDER": str(tmp_path / "runs")}
    variables |= {"SYSTEM": "spaces", "SPACE_ID": "someone/vit", "SPACE_HOST": "someone-vit.hf.space"}
    variables |= {"OAUTH_CLIENT_ID": "id", "OAUTH_CLIENT_SECRET": "secret", "OAUTH_SCOPES": "openid contribute-repos"}
    with (
        serving(**variables, OPENID_PROVIDER_URL=provider) as url,
        httpx.Client(trust_env=False, timeout=60) as visitor,
    ):
        there = components(visitor.get(f"{url}/config").json())
        assert "Sign in with Hugging Face" in there
        assert there["Access token"]["visible"] is False
        answer = visitor.get(url + "/login/huggingface")
        assert answer.status_code == 302
        target = urlparse(answer.headers["location"])
        asked = parse_qs(target.query)
        assert f"{target.scheme}://{target.netloc}" == provider and asked["client_id"] == ["id"]
        assert asked["scope"] == ["openid contribute-repos"]
        assert asked["redirect_uri"][0].startswith("https://someone-vit.hf.space/login/callback")


@pytest.mark.parametrize("signs_in", [True, False])
def test_the_token_is_the_signed_in_visitors_and_the_pasted_one_only_elsewhere(signs_in, monkeypatch):
    pushed = []
    monkeypatch.setattr(push, "SIGNS_IN", signs_in)
    monkeypatch.setenv("SYSTEM", "spaces")  # elsewhere a button to sign in asks for an account of this machine
    monkeypatch.setenv("SPACE_ID", "someone/vit")
    for name in ("OAUTH_CLIENT_ID", "OAUTH_CLIENT_SECRET", "OAUTH_SCOPES", "OPENID_PROVIDER_URL"):
        monkeypatch.setattr(gr.oauth, name, "of the Space")
    monkeypatch.setattr(outcome, "push_run", lambda *asked: pushed.append(asked) or "done")
    with gr.Blocks() as demo:
        run_id = gr.State("a" * 16)
        outcome.build(run_id, gr.BrowserState({}))
    (pushing,) = (handler for handler in demo.fns.values() if handler.fn and handler.fn.__name__ == "push_it")
    fields = {getattr(part, "label", None) or "run": part for part in pushing.inputs}
    values = {"Repository": "first", "Access token": "hf_pasted", "Private": True, "run": "a" * 16}
    entered = {fields[name]: value for name, value in values.items()}
    pushing.fn(entered, gr.OAuthToken(TOKEN, scope="contribute-repos", expires_at=2_000_000_000))
    assert pushed == [("a" * 16, "first", TOKEN if signs_in else "hf_pasted", True)]
    pushed.clear()
    (said, *_) = pushing.fn(entered, None).values()
    assert ("Sign in with the button above" in said) == signs_in
    assert pushed == ([] if signs_in else [("a" * 16, "first", "hf_pasted", True)])

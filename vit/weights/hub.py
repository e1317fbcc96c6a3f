"""Pushing to the Hub: a trained model to a visitor's account with the visitor's token, the app to one's own Space."""

import re
from pathlib import Path

from vit.weights.checkpoint import CARD, CONFIG, WEIGHTS

ENDPOINT = None  # the Hub's own
# Of a clone, what a Space builds and runs from; runs, data, environments and caches that lie beside it stay here.
SPACE = ["app.py", "requirements.txt", "*.md", "LICENSE", "CITATION.cff", "docs/**", "checkpoints/**", "vit/**"]
NOT_THERE = ["**/__pycache__/**", "*.pyi", ".*", "node_modules/**", "tests/**"]
NAME = re.compile(r"[\w.-]+(/[\w.-]+)?")


def push(folder: Path, name: str, token: str, private: bool = False) -> str:
    """Uploads a folder's weights, config and card and returns the repository's address.

    The token is used for these requests alone; no message repeats it. Raises ValueError, naming the remedy.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    name, token = (name or "").strip(), (token or "").strip()
    if not NAME.fullmatch(name):
        raise ValueError(f"{name!r} can't name a repository; use letters, digits, - and _, such as my-first-vit.")
    if not token.isascii() or not token.startswith("hf_"):
        raise ValueError("Enter an access token that may write; it starts with hf_.")
    api = HfApi(ENDPOINT, token=token, library_name="vit-live")
    try:
        address = api.create_repo(name, private=private, exist_ok=True)
        api.upload_folder(
            repo_id=address.repo_id,
            folder_path=folder,
            allow_patterns=[WEIGHTS, CONFIG, CARD],
            commit_message="Upload a Vision Transformer trained live",
        )
    except HFValidationError as error:
        raise ValueError(f"{name!r} can't name a repository: {error}") from None
    except HfHubHTTPError as error:
        raise ValueError(_refusal(error, name)) from None
    except Exception as error:  # no connection, a proxy's answer: whatever it is, the token is in none of our words
        raise ValueError(
            f"The Hub can't be reached ({type(error).__name__}); try again, or download the zip."
        ) from None
    return str(address)


def deploy(clone: Path, name: str, private: bool = True) -> str:
    """Uploads what a Space runs from, creates the Space where there is none, and returns its address.

    With the token that `hf auth login` keeps, or HF_TOKEN's. private: of a new Space. Raises ValueError, naming the
    remedy.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, LocalTokenNotFoundError

    if not (clone / "app.py").is_file():
        raise ValueError(f"There is no app.py in {clone}; run this in a clone of the repository.")
    if not NAME.fullmatch(name):
        raise ValueError(f"{name!r} can't name a Space; use letters, digits, - and _, such as my-vit.")
    api = HfApi(ENDPOINT, library_name="vit-live")
    try:
        address = api.create_repo(name, repo_type="space", space_sdk="gradio", private=private, exist_ok=True)
        api.upload_folder(
            repo_id=address.repo_id,
            repo_type="space",
            folder_path=clone,
            allow_patterns=SPACE,
            ignore_patterns=NOT_THERE,
            commit_message="Deploy ViT live",
        )
    except LocalTokenNotFoundError:
        raise ValueError("The Hub does not know who you are; log in first: hf auth login.") from None
    except HfHubHTTPError as error:
        raise ValueError(_refusal(error, name)) from None
    return str(address)


def _refusal(error, name: str) -> str:
    code = error.response.status_code if error.response is not None else None
    if code == 401:
        return "The Hub doesn't know this token; make one that may write at huggingface.co/settings/tokens."
    if code == 403:
        return f"This token has no right to write to {name}; make one with the right 'write', or choose another name."
    if code == 409:
        return f"There is something else called {name} in your account; choose another name."
    return f"The Hub refused ({code}); try again in a while, or download the zip."

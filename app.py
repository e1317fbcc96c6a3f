"""The page: train a Vision Transformer live, use it, look inside."""

import argparse
import os

# Before torch is imported. Its threads wait for one another after each operation; those that spin meanwhile take the
# cores from whatever else computes here: a run from its visitors, and they from it.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def main(argv: list[str] | None = None) -> None:
    """Reads the flags, builds the page and serves it until interrupted."""
    parser = argparse.ArgumentParser(
        prog="python app.py",
        description="Serve the page on which a small Vision Transformer is trained live, used, and looked into.",
        epilog="The variables VIT_MAX_MINUTES, VIT_MAX_PARAMETERS, VIT_MAX_MEMORY, VIT_MAX_RUNS, VIT_MAX_QUEUE, "
        "VIT_KEEP_RUNS, VIT_KEEP_ON_DISK and VIT_UNWATCHED_MINUTES bound the training; VIT_RUNS_FOLDER is where runs "
        "are saved. VIT_KEEP_MODELS and VIT_MAX_FETCH bound what comes from the Hub.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--share", action="store_true", help="also open a public link, which lives one week")
    parser.add_argument("--host", help="address to listen on; 0.0.0.0 lets other machines of the network in")
    parser.add_argument("--port", type=int, help="port to listen on; the first free one from 7860 if not given")
    parser.add_argument("--model", metavar="SOURCE", help="a model folder, or OWNER/NAME on the Hub, to open on")
    arguments = parser.parse_args(argv)

    from vit.device import share_memory
    from vit.live import elsewhere
    from vit.ui import page

    share_memory()
    if arguments.model:
        try:
            elsewhere.give(arguments.model)
        except ValueError as error:
            parser.error(f"--model: {error}")
    page.launch(page.build(), share=arguments.share, server_name=arguments.host, server_port=arguments.port)


if __name__ == "__main__":
    main()

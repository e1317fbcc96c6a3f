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
        "are saved.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--share", action="store_true", help="also open a public link, which lives one week")
    parser.add_argument("--host", help="address to listen on; 0.0.0.0 lets other machines of the network in")
    parser.add_argument("--port", type=int, help="port to listen on; the first free one from 7860 if not given")
    parser.add_argument(
        "--mcp", action="store_true", help="also serve the endpoints as tools of the Model Context Protocol"
    )
    arguments = parser.parse_args(argv)

    from vit.device import share_memory
    from vit.ui import page

    share_memory()
    where = {"share": arguments.share, "server_name": arguments.host, "server_port": arguments.port}
    page.launch(page.build(), mcp_server=arguments.mcp, **where)


if __name__ == "__main__":
    main()
